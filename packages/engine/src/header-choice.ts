import type { TextRow } from './row.ts'
import { type ByteEncoding, decodeText } from './text.ts'

/** A row and how many different known names it holds. */
export interface NamedRow extends TextRow {
  matched: number
}

/** The text of a skipped line that is shown. */
const SHOWN_CHARACTERS = 500

/** A line before the header. */
export interface SkippedLine {
  line: number
  /** At most the first 500 characters. */
  text: string
  /** It may be a record or a header: as wide as the header, or naming columns. */
  suspicious: boolean
}

/**
 * Returns a row that may be the header as well as the one with the most names, or null. Before that one: a row that is at
 * least as wide, so that the rows between may be its records, and that names a column or has records after it. After it:
 * one that holds as many names, when the first one looks like a record itself.
 */
export function rivalOf(header: NamedRow, rows: readonly NamedRow[]): NamedRow | null {
  const before = rows.filter((row) => row.line < header.line && row.cells.length >= header.cells.length)
  const rival = before.find((row) => !hasValues(row) && (row.matched > 0 || hasRecords(row, before)))
  if (rival) return rival
  if (!hasValues(header)) return null
  const equal = (row: NamedRow) => row.matched === header.matched && row.cells.length >= header.cells.length
  return rows.find((row) => row.line > header.line && equal(row) && !hasValues(row)) ?? null
}

function hasRecords(header: NamedRow, rows: readonly NamedRow[]): boolean {
  return (
    header.cells.length > 1 &&
    rows.some((row) => row.line > header.line && row.cells.length === header.cells.length && hasValues(row))
  )
}

/** Lists the lines before the header that are not blank, and says which may be more than a title. */
export function skippedLines(
  header: NamedRow,
  rows: readonly NamedRow[],
  head: Uint8Array,
  encoding: ByteEncoding,
): SkippedLine[] {
  const lines: SkippedLine[] = []
  let at = 0
  for (let line = 1; line < header.line; line++) {
    let to = at
    while (to < header.from && head[to] !== 0x0a && head[to] !== 0x0d) to++
    const text = decodeText(head.subarray(at, to), encoding).replace(/^\ufeff/, '')
    const row = rows.find((one) => one.line === line)
    const suspicious = row !== undefined && isSuspicious(row, header)
    if (text.trim() !== '') lines.push({ line, text: shown(text), suspicious })
    at = head[to] === 0x0d && head[to + 1] === 0x0a ? to + 2 : to + 1
  }
  return lines
}

function isSuspicious(row: NamedRow, header: NamedRow): boolean {
  if (row.cells.length < header.cells.length) return row.matched > 1
  // A file of one column: a title has several words. Excel writes the delimiter as `sep=;`.
  const [only = ''] = row.cells
  return header.cells.length > 1 || !/\s|^sep=/i.test(only.trim())
}

// A number, a day or a time: what a name of a column hardly is.
function hasValues({ cells }: TextRow): boolean {
  return cells.some((cell) => /\d/.test(cell) && /^[\d\s.,:;/+\-TZ%€$]+$/.test(cell.trim()))
}

function shown(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
