import type { NamedRow } from './header-choice.ts'
import { normaliseName } from './header-name.ts'
import { afterLine, type RowSource, readRow, type TextRow } from './row.ts'

/** The header must be within this many lines. */
export const HEADER_WITHIN_LINES = 20
const ROWS_COMPARED = 50

/** The head of a file under one delimiter. */
export interface HeadView {
  delimiter: string
  source: RowSource
  /** The rows among the first lines that are not blank. */
  rows: NamedRow[]
  /** The first row with the most known names; null if no row has any. */
  header: NamedRow | null
  widest: NamedRow | null
  /** The first rows after the header that are not blank. */
  records: TextRow[]
  /** The share of the rows after the header that are as wide as the header, 0 to 1. */
  fit: number
  /** The delimiter occurs in the header, or in every row after it. */
  occurs: boolean
}

/** Reads the rows of a head under one delimiter, finds its header and examines the rows after it. */
export function viewHead(source: RowSource, delimiter: string, known: ReadonlySet<string>): HeadView {
  const rows = headRows(source, known, HEADER_WITHIN_LINES)
  const widest = rows.reduce<NamedRow | null>((a, b) => (a && a.cells.length >= b.cells.length ? a : b), null)
  const header = mostNames(rows)
  return {
    delimiter,
    source,
    rows,
    header,
    widest,
    ...(header ? followed(source, header) : { records: [], fit: 0, occurs: false }),
  }
}

/** Returns the first row with the most known names; null if none has any. */
export function mostNames(rows: readonly NamedRow[]): NamedRow | null {
  const most = rows.reduce<NamedRow | null>((a, b) => (a && a.matched >= b.matched ? a : b), null)
  return most && most.matched > 0 ? most : null
}

/** Returns true if view `a` shows a header more clearly than view `b`. */
export function isBetter(a: HeadView, b: HeadView): boolean {
  const matched = (a.header?.matched ?? 0) - (b.header?.matched ?? 0)
  if (matched !== 0) return matched > 0
  if (a.fit !== b.fit) return a.fit > b.fit
  return a.occurs && !b.occurs
}

/**
 * Returns the rows among the first lines that are not blank. Tries each physical line as the start of a row, because a
 * title may contain a stray quote.
 */
export function headRows(source: RowSource, known: ReadonlySet<string>, lines: number): NamedRow[] {
  const { head } = source
  const rows: NamedRow[] = []
  let at = 0
  for (let line = 1; line <= lines && at < head.length; line++) {
    const row = readRow(source, at, line)
    if (row?.cells.some((cell) => cell.trim() !== '')) rows.push(namedRow(row, known))
    at = afterLine(head, at)
  }
  return rows
}

/** Returns a row with its names, and how many of them are known. */
export function namedRow(row: TextRow, known: ReadonlySet<string>): NamedRow {
  const names = row.cells.map(normaliseName)
  return { ...row, names, matched: new Set(names.filter((name) => known.has(name))).size }
}

// Returns the rows after the header, the share that is as wide, and whether the delimiter occurs in all of them.
function followed(source: RowSource, header: NamedRow): Pick<HeadView, 'records' | 'fit' | 'occurs'> {
  const records: TextRow[] = []
  let at = header.next
  let rows = 0
  while (rows < ROWS_COMPARED && at < source.head.length) {
    const row = readRow(source, at, 0)
    at = row ? row.next : afterLine(source.head, at)
    if (row?.cells.every((cell) => cell.trim() === '')) continue
    rows++
    if (row) records.push(row)
  }
  const equal = records.filter(({ cells }) => cells.length === header.cells.length).length
  const delimited = records.filter(({ width }) => width > 1).length
  return {
    records,
    fit: rows === 0 ? 0 : equal / rows,
    occurs: header.width > 1 || (rows > 0 && delimited === rows),
  }
}
