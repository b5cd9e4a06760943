import type { TextRow } from './row.ts'

/** What a cell looks like: a number, a day or time, a code (with digits, without blanks), or any other text. */
export type CellShape = 'blank' | 'number' | 'moment' | 'code' | 'text'

const MOMENT = /^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d.*)?|\d{1,2}:\d{2}(:\d{2})?)$/
const NUMBER = /^[-+(€$\s]*\d[\d\s.,'’]*[-%€$)\s]*$/
const CODE = /^\S*\d\S*$/

/** Returns what a cell looks like. */
export function shapeOf(cell: string): CellShape {
  const text = cell.trim()
  if (text === '') return 'blank'
  if (MOMENT.test(text)) return 'moment'
  if (NUMBER.test(text)) return 'number'
  return CODE.test(text) ? 'code' : 'text'
}

/** The shapes that the cells of each column have in some records. */
export type ColumnShapes = readonly ReadonlySet<CellShape>[]

/** Returns the shapes of the columns of a file with so many columns, as its records show them. */
export function columnShapes(columns: number, records: readonly TextRow[]): ColumnShapes {
  return Array.from(
    { length: columns },
    (_, at) => new Set(records.map(({ cells }) => shapeOf(cells[at] ?? ''))),
  )
}

/**
 * Returns how much a row resembles the records of a file. `record`: its cells look as theirs do. `label`: so does a label with
 * its value, which a title may consist of. `title`: it resembles no record.
 */
export function likenessOf({ cells }: TextRow, columns: ColumnShapes): 'record' | 'label' | 'title' {
  const shapes = cells.map(shapeOf)
  const filled = shapes.flatMap((shape, at) => (shape === 'blank' ? [] : [at]))
  const [first = 0] = filled
  const isLike = (at: number) => columns[at]?.has(shapes[at] ?? 'blank') === true
  const isValue = (at: number) => shapes[at] !== 'text'
  const like = filled.filter(isLike).length
  // A line of an export's date and time is far narrower than the records.
  if (cells.length * 2 < columns.length || !filled.some(isValue) || isCount(cells)) return 'title'
  if (filled.length === 1) {
    if (!isLike(first)) return 'title'
    return columns.length === 1 ? 'record' : 'label'
  }
  if (isValue(first)) return isLike(first) && like * 2 >= filled.length ? 'record' : 'title'
  if (like < filled.length) return 'title'
  return filled.length === 2 && columns.length > 2 ? 'label' : 'record'
}

/** The numbers of the columns, as some programs write them over their names. */
function isCount(cells: readonly string[]): boolean {
  return cells.length > 2 && cells.every((cell, at) => cell.trim() === String(at + 1))
}
