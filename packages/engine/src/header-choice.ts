import { type ColumnShapes, columnShapes, likenessOf, shapeOf } from './record-likeness.ts'
import type { TextRow } from './row.ts'
import { type ByteEncoding, decodeText } from './text.ts'

/** A row, its cells as names are compared, and its number of different known names. */
export interface NamedRow extends TextRow {
  names: string[]
  matched: number
}

/** The chosen header, the rows near the top of its file, and the first records after it. */
export interface ChosenHeader {
  header: NamedRow
  rows: readonly NamedRow[]
  records: readonly TextRow[]
}

/** Maximum length of the shown text of a skipped line. */
const SHOWN_CHARACTERS = 500

/** A line before the header. */
export interface SkippedLine {
  line: number
  /** At most the first 500 characters. */
  text: string
  /** `record`: it looks like the records. `maybe`: it may be a record or a header. `title`: neither. */
  kind: 'record' | 'maybe' | 'title'
}

/**
 * Returns a row that may be the header as well as the one with the most names, or null. Before that one: a row that is
 * at least as wide, so that the rows between may be its records, and that names a column or has records after it; or a
 * narrower one that names columns and has records of its own, as in files that were joined after a column was added.
 * After it: one that has as many names, if the first one looks like a record itself.
 */
export function rivalOf({ header, rows, records }: ChosenHeader): NamedRow | null {
  const before = rows.filter((row) => row.line < header.line)
  const wide = before.filter((row) => row.cells.length >= header.cells.length)
  const rival = wide.find((row) => !hasValues(row) && (row.matched > 0 || hasRecords(row, wide)))
  if (rival) return rival
  const narrow = narrowHeader(before) ?? singleHeader(before, columnShapes(header.cells.length, records))
  if (narrow) return narrow
  if (!hasValues(header)) return null
  const equal = (row: NamedRow) => row.matched === header.matched && row.cells.length >= header.cells.length
  return rows.find((row) => row.line > header.line && equal(row) && !hasValues(row)) ?? null
}

/** Returns the first row that names several columns and hardly anything else, with a row of several cells after it, or null. */
export function narrowHeader(rows: readonly NamedRow[]): NamedRow | null {
  const isFollowed = (row: NamedRow) => rows.some(({ line, cells }) => line > row.line && cells.length > 1)
  return rows.find((row) => row.cells.length > 1 && namesColumns(row) && isFollowed(row)) ?? null
}

// A single name may be a title: the rows after it must look like the records in some column.
function singleHeader(rows: readonly NamedRow[], columns: ColumnShapes): NamedRow | null {
  const shapes = new Set(columns.flatMap((column) => [...column]))
  const isRecord = ({ cells: [cell = '', ...more] }: TextRow) =>
    more.length === 0 && !/\s/.test(cell.trim()) && shapes.has(shapeOf(cell))
  return (
    rows.find(
      (row, at) =>
        row.cells.length === 1 && namesColumns(row) && rows.slice(at + 1).some((next) => isRecord(next)),
    ) ?? null
  )
}

function namesColumns({ cells, matched }: NamedRow): boolean {
  const shapes = cells.map(shapeOf).filter((shape) => shape !== 'blank')
  if (matched > 0 && matched === shapes.length) return true
  return matched > 1 && matched * 2 >= shapes.length && shapes.every((shape) => shape === 'text')
}

function hasRecords(header: NamedRow, rows: readonly NamedRow[]): boolean {
  return (
    header.cells.length > 1 &&
    rows.some((row) => row.line > header.line && row.cells.length === header.cells.length && hasValues(row))
  )
}

/** Lists the lines before the header that are not blank, and which of them may be more than a title. */
export function skippedLines(
  { header, rows, records }: ChosenHeader,
  head: Uint8Array,
  encoding: ByteEncoding,
): SkippedLine[] {
  const before = rows.filter((row) => row.line < header.line)
  const kinds = kindsOf(before, header, columnShapes(header.cells.length, records))
  const lines: SkippedLine[] = []
  let at = 0
  for (let line = 1; line < header.line; line++) {
    let to = at
    while (to < header.from && head[to] !== 0x0a && head[to] !== 0x0d) to++
    const text = decodeText(head.subarray(at, to), encoding).replace(/^\ufeff/, '')
    if (text.trim() !== '') lines.push({ line, text: shown(text), kind: kinds.get(line) ?? 'title' })
    at = head[to] === 0x0d && head[to + 1] === 0x0a ? to + 2 : to + 1
  }
  return lines
}

function kindsOf(
  rows: readonly NamedRow[],
  header: NamedRow,
  columns: ColumnShapes,
): Map<number, SkippedLine['kind']> {
  const judged = rows.map((row) => ({ row, likeness: likenessOf(row, columns) }))
  // Labels with values differ from one another; a single one is not suspicious.
  const pairs = judged.filter(({ row }) => row.cells.length === 2)
  const areLabels = pairs.length === 1 || pairs.some(({ likeness }) => likeness === 'title')
  return new Map(
    judged.map(({ row, likeness }) => {
      if (likeness === 'record') return [row.line, 'record']
      const maybe = isOdd(row, header) || (likeness === 'label' && !areLabels)
      return [row.line, maybe ? 'maybe' : 'title']
    }),
  )
}

function isOdd(row: NamedRow, header: NamedRow): boolean {
  if (row.cells.length < header.cells.length)
    return row.matched > 1 || (row.matched === 1 && sharesName(row, header))
  // For a file of one column: a title has several words. Excel writes the delimiter as `sep=;`.
  const [only = ''] = row.cells
  return header.cells.length > 1 || !/\s|^sep=/i.test(only.trim())
}

// A title's label rarely stands where the header has the same name, next to another name.
function sharesName(row: NamedRow, header: NamedRow): boolean {
  const same = row.names.some((name, at) => name !== '' && name === header.names[at])
  return same && row.cells.length > 1 && row.cells.every((cell) => shapeOf(cell) === 'text')
}

// Matches a number, a day or a time, which are hardly names of columns.
function hasValues({ cells }: TextRow): boolean {
  return cells.some((cell) => /\d/.test(cell) && /^[\d\s.,:;/+\-TZ%€$]+$/.test(cell.trim()))
}

function shown(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
