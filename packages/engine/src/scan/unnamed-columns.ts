/** A column without a name in which records have values. */
export interface UnnamedColumn {
  index: number
  /** Number of good records with a value in it. */
  records: number
  /** The line of the first of them. */
  line: number
  text: string
}

/** What is known about columns without a name during a scan. */
export interface UnnamedTally {
  found: Map<number, UnnamedColumn>
  /** Columns in which the current record has a value, and the values of those not found before. */
  pending: number[]
  texts: Map<number, string>
  /** Whether the first column numbers the records, its last number, and that of the current record. */
  numbersRows: boolean
  rowNumber: number
  nextNumber: number
}

const SHOWN_BYTES = 60

/** Returns an empty tally. */
export function noUnnamed(): UnnamedTally {
  return { found: new Map(), pending: [], texts: new Map(), numbersRows: true, rowNumber: -1, nextNumber: -1 }
}

/** Adds the value in `[from, to)` of the output, of a column without a name, unless it is blank. */
export function noteUnnamed(
  unnamed: UnnamedTally,
  index: number,
  out: Buffer,
  from: number,
  to: number,
): void {
  let start = from
  for (let blank = blankAt(out, start, to); blank > 0; blank = blankAt(out, start, to)) start += blank
  if (start === to) return
  unnamed.pending.push(index)
  if (index === 0 && unnamed.numbersRows) unnamed.nextNumber = wholeNumber(out, start, to)
  if (!unnamed.found.has(index))
    unnamed.texts.set(index, out.toString('utf8', start, Math.min(to, start + SHOWN_BYTES)))
}

// Returns the number that the bytes write in digits, with blanks after them; -1 if they do not.
function wholeNumber(bytes: Uint8Array, from: number, end: number): number {
  let number = 0
  let at = from
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) break
    number = number * 10 + digit
  }
  if (at === from) return -1
  while (at < end && bytes[at] === 0x20) at++
  return at === end ? number : -1
}

// The output is UTF-8: a space, a tab or a no-break space.
function blankAt(out: Uint8Array, at: number, end: number): number {
  if (at >= end) return 0
  if (out[at] === 0x20 || out[at] === 0x09) return 1
  return out[at] === 0xc2 && out[at + 1] === 0xa0 ? 2 : 0
}

/** Counts the values of the current record, which is good. */
export function countUnnamed(unnamed: UnnamedTally, line: number): void {
  for (const index of unnamed.pending) {
    if (index === 0 && unnamed.numbersRows) numberRow(unnamed)
    const column = unnamed.found.get(index)
    if (column) column.records++
    else
      unnamed.found.set(index, { index, records: 1, line, text: withBreaks(unnamed.texts.get(index) ?? '') })
  }
  unnamed.pending.length = 0
}

function withBreaks(text: string): string {
  return text.replaceAll('\x1e', '\n').replaceAll('\x1d', '\r')
}

// Numbers of records increase, with gaps where records were omitted, and start again where tables were joined.
function numberRow(unnamed: UnnamedTally): void {
  const { nextNumber, rowNumber } = unnamed
  if (nextNumber < 0 || (nextNumber <= rowNumber && nextNumber > 1)) unnamed.numbersRows = false
  unnamed.rowNumber = nextNumber
}

/** Returns the columns without a name that have values, except for a first one that only numbers the records. */
export function unnamedColumns({ found, numbersRows }: UnnamedTally): UnnamedColumn[] {
  return [...found.values()]
    .filter(({ index }) => index > 0 || !numbersRows)
    .sort((a, b) => a.index - b.index)
}
