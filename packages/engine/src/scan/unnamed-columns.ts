import type { ScanState } from './state.ts'

/** A column without a name in which records hold values. */
export interface UnnamedColumn {
  index: number
  /** How many good records hold a value in it. */
  records: number
  /** The first of them. */
  line: number
  text: string
}

interface PendingValue {
  index: number
  /** The whole number that it is, or -1. */
  number: number
  /** Null for a column that has been found already. */
  text: string | null
}

/** What is known of columns without a name while a file is scanned. */
export interface UnnamedTally {
  found: Map<number, UnnamedColumn>
  /** Values of the record that is being read. */
  pending: PendingValue[]
  /** The number of the last record in the first column, and whether that column numbers the records. */
  rowNumber: number
  numbersRows: boolean
}

const SHOWN_BYTES = 60

/** Returns a tally of nothing. */
export function noUnnamed(): UnnamedTally {
  return { found: new Map(), pending: [], rowNumber: -1, numbersRows: true }
}

/** Notes the value in `[from, to)` of the output, of a column without a name, unless it is blank. */
export function noteUnnamed({ out, unnamed }: ScanState, index: number, from: number, to: number): void {
  let start = from
  for (let blank = blankAt(out, start, to); blank > 0; blank = blankAt(out, start, to)) start += blank
  if (start === to) return
  const isFirst = index === 0 && unnamed.numbersRows
  const text =
    unnamed.found.has(index) && !isFirst
      ? null
      : out.toString('utf8', start, Math.min(to, start + SHOWN_BYTES))
  unnamed.pending.push({
    index,
    number: isFirst && text !== null && /^\d+ *$/.test(text) ? Number(text) : -1,
    text,
  })
}

// The output is UTF-8: a space, a tab or a no-break space.
function blankAt(out: Uint8Array, at: number, end: number): number {
  if (at >= end) return 0
  if (out[at] === 0x20 || out[at] === 0x09) return 1
  return out[at] === 0xc2 && out[at + 1] === 0xa0 ? 2 : 0
}

/** Counts the values that were noted of a record that is good. */
export function countUnnamed({ unnamed }: ScanState, line: number): void {
  for (const { index, number, text } of unnamed.pending) {
    if (index === 0) numberRow(unnamed, number)
    const column = unnamed.found.get(index)
    if (column) column.records++
    else unnamed.found.set(index, { index, records: 1, line, text: withBreaks(text ?? '') })
  }
  unnamed.pending.length = 0
}

function withBreaks(text: string): string {
  return text.replaceAll('\x1e', '\n').replaceAll('\x1d', '\r')
}

// Numbers of records rise, with gaps where records were left out, and begin again where tables were joined.
function numberRow(unnamed: UnnamedTally, number: number): void {
  if (number < 0 || (number <= unnamed.rowNumber && number > 1)) unnamed.numbersRows = false
  unnamed.rowNumber = number
}

/** Returns the columns without a name that hold values, but for a first one that only numbers the records. */
export function unnamedColumns({ found, numbersRows }: UnnamedTally): UnnamedColumn[] {
  return [...found.values()]
    .filter(({ index }) => index > 0 || !numbersRows)
    .sort((a, b) => a.index - b.index)
}
