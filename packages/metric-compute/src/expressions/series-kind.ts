import type { Column } from '@aduana/contracts/dataset-definition'
import type { SeriesPlace } from '../series-place.ts'

/** What a series contains. `row` is the row itself. */
export type SeriesKind = 'number' | 'text' | 'date' | 'timestamp' | 'boolean' | 'row'

/** Returns the column of a series; undefined for the row itself. @throws Error when the dataset has no such column */
export function columnOf(place: SeriesPlace): Column | undefined {
  if (place.column === null) return undefined
  const column = place.definition.columns.find(({ name }) => name === place.column)
  if (!column)
    throw new Error(`series "${place.code}": dataset "${place.definition.code}" has no "${place.column}"`)
  return column
}

/** Returns what a series contains. */
export function kindOf(place: SeriesPlace): SeriesKind {
  const column = columnOf(place)
  if (!column) return 'row'
  return column.type === 'integer' || column.type === 'decimal' ? 'number' : column.type
}
