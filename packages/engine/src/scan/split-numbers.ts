import { readRow, type TextRow } from '../row.ts'
import type { Dialect } from './options.ts'

/*
 * A number with a decimal comma, in a file with commas between cells, becomes two cells. Where the last cells of a record are
 * blank, the record is not too wide: its values only stand under wrong names.
 */

/** Records that have more cells than the header, all of them blank. */
export interface ExtraCells {
  /** How many were looked at: all of them up to a limit. */
  records: number
  /** In how many of these the cell of a column, by index, may be the first half of a number; those where none can be are left out. */
  halves: { index: number; records: number }[]
  /** The first of them. */
  line: number
  width: number
  text: string
}

/** What is known of such records while a file is scanned. */
export interface ExtraCellsTally {
  /** Records that were looked at, and those of them that have more cells than the header. */
  looked: number
  records: number
  halves: Map<number, number>
  /** Columns with a decimal point: their numbers are whole. */
  points: Set<number>
  first: { line: number; width: number; text: string } | null
}

/** The delimiter that is a decimal mark as well. */
export const COMMA = 0x2c
/** So many records with cells beyond the columns are looked at. */
export const EXTRA_CELLS_LOOKED_AT = 2000
const SHOWN_CHARACTERS = 200
const WHOLE = /^[-+]?\d+([. '’]\d{3})*$/
const DECIMALS = /^\d{1,3}$/
const POINT = /^[-+]?\d+\.\d+$/

/** Returns a tally of nothing. */
export function noExtraCells(): ExtraCellsTally {
  return { looked: 0, records: 0, halves: new Map(), points: new Set(), first: null }
}

/** Returns the indexes of the cells that may be the first half of a number with a decimal comma. */
export function halvesOf(cells: readonly string[]): number[] {
  return cells.flatMap((cell, at) =>
    WHOLE.test(cell.trim()) && DECIMALS.test(cells[at + 1]?.trim() ?? '') ? [at] : [],
  )
}

/** Notes a good record that has blank cells beyond the columns of the header. */
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

/** Returns what was found of such records; null when there are none. */
export function extraCellsOf({ records, halves, points, first }: ExtraCellsTally): ExtraCells | null {
  if (!first) return null
  const columns = [...halves].filter(([index]) => !points.has(index))
  return { records, ...first, halves: columns.map(([index, count]) => ({ index, records: count })) }
}
