import type { TextRow } from './row.ts'

/** The shape of a cell: a number, a day or time, a code (with digits, without blanks), or any other text. */
export type CellShape = 'blank' | 'number' | 'moment' | 'code' | 'text'

const MOMENT = /^(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d.*)?|\d{1,2}:\d{2}(:\d{2})?)$/
const NUMBER = /^[-+(€$\s]*\d[\d\s.,'’]*[-%€$)\s]*$/
const CODE = /^\S*\d\S*$/

/** Returns the shape of a cell. */
export function shapeOf(cell: string): CellShape {
  const text = cell.trim()
  if (text === '') return 'blank'
  if (MOMENT.test(text)) return 'moment'
  if (NUMBER.test(text)) return 'number'
  return CODE.test(text) ? 'code' : 'text'
}

/** The shapes that occur in each column of some records. */
export type ColumnShapes = readonly ReadonlySet<CellShape>[]

/** Returns the shapes that occur in the columns of a file with this number of columns, according to its records. */
export function columnShapes(columns: number, records: readonly TextRow[]): ColumnShapes {
  return Array.from(
    { length: columns },
    (_, at) => new Set(records.map(({ cells }) => shapeOf(cells[at] ?? ''))),
  )
}

/**
 * Returns how much a row resembles the records of a file. `record`: its cells look like theirs. `label`: it could be a
 * record, or a label with its value, as in titles. `title`: it resembles no record.
 */
export function likenessOf({ cells }: TextRow, columns: ColumnShapes): 'record' | 'label' | 'title' {
  const shapes = cells.map(shapeOf)
  const filled = shapes.flatMap((shape, at) => (shape === 'blank' ? [] : [at]))
  const [first = 0] = filled
  const isLike = (at: number) => columns[at]?.has(shapes[at] ?? 'blank') === true
  const isValue = (at: number) => shapes[at] !== 'text'
  const like = filled.filter(isLike).length
  // A line with the date and time of an export is far narrower than the records.
  if (cells.length * 2 < columns.length || !filled.some(isValue) || isCount(cells)) return 'title'
  if (filled.length === 1) {
    if (!isLike(first)) return 'title'
    return columns.length === 1 ? 'record' : 'label'
  }
  if (isValue(first)) return isLike(first) && like * 2 >= filled.length ? 'record' : 'title'
  if (like < filled.length) return 'title'
  return filled.length === 2 && columns.length > 2 ? 'label' : 'record'
}

/** Returns true for a row that numbers the columns, as some programs write it above their names. */
function isCount(cells: readonly string[]): boolean {
  return cells.length > 2 && cells.every((cell, at) => cell.trim() === String(at + 1))
}
