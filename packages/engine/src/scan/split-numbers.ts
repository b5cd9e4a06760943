import { readRow, type TextRow } from '../row.ts'
import type { Dialect } from './options.ts'

/*
 * In a file with comma delimiters, a number with a decimal comma becomes two cells. If the last cells of a record are
 * blank, the record is not too wide: its values are only under the wrong names.
 */

/** Records that have more cells than the header, all of them blank. */
export interface ExtraCells {
  /** Number of records examined: all of them up to a limit. */
  records: number
  /**
   * In how many of these the cell of a column, by index, may be the first half of a number. Columns without any are
   * omitted.
   */
  halves: { index: number; records: number }[]
  /** The line of the first of them. */
  line: number
  width: number
  text: string
}

/** What is known about such records during a scan. */
export interface ExtraCellsTally {
  /** Number of records examined, and of those that have more cells than the header. */
  looked: number
  records: number
  halves: Map<number, number>
  /** Columns with a decimal point: their numbers are complete. */
  points: Set<number>
  first: { line: number; width: number; text: string } | null
}

/** The delimiter that is also a decimal mark. */
export const COMMA = 0x2c
/** Maximum number of records with cells beyond the columns that are examined. */
export const EXTRA_CELLS_LOOKED_AT = 2000
const SHOWN_CHARACTERS = 200
const WHOLE = /^[-+]?\d+([. '’]\d{3})*$/
const DECIMALS = /^\d{1,3}$/
const POINT = /^[-+]?\d+\.\d+$/

/** Returns an empty tally. */
export function noExtraCells(): ExtraCellsTally {
  return { looked: 0, records: 0, halves: new Map(), points: new Set(), first: null }
}

/** Returns the indexes of the cells that may be the first half of a number with a decimal comma. */
export function halvesOf(cells: readonly string[]): number[] {
  return cells.flatMap((cell, at) =>
    WHOLE.test(cell.trim()) && DECIMALS.test(cells[at + 1]?.trim() ?? '') ? [at] : [],
  )
}

/** Adds a good record that has blank cells beyond the columns of the header. */
export function noteExtraCells(
  tally: ExtraCellsTally,
  record: Uint8Array,
  dialect: Pick<Dialect, 'delimiter' | 'quote' | 'encoding' | 'header'>,
  line: number,
): void {
  const { delimiter, quote, encoding, header } = dialect
  tally.looked++
  if (delimiter !== COMMA || header === null || tally.looked > EXTRA_CELLS_LOOKED_AT) return
  const row = readRow({ head: record, encoding, complete: true, delimiter, quote }, 0, line)
  if (!row || row.width <= header.width) return
  tally.records++
  for (const at of halvesOf(row.cells)) tally.halves.set(at, (tally.halves.get(at) ?? 0) + 1)
  for (const [at, cell] of row.cells.entries()) if (POINT.test(cell.trim())) tally.points.add(at)
  tally.first ??= { line, width: row.width, text: textOf(row).slice(0, SHOWN_CHARACTERS) }
}

function textOf({ cells, width }: TextRow): string {
  return `${cells.join(',')}${','.repeat(width - cells.length)}`
}

/** Returns the result for such records; null if there are none. */
export function extraCellsOf({ records, halves, points, first }: ExtraCellsTally): ExtraCells | null {
  if (!first) return null
  const columns = [...halves].filter(([index]) => !points.has(index))
  return { records, ...first, halves: columns.map(([index, count]) => ({ index, records: count })) }
}
