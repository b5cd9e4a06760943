import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { dayInZone } from '@aduana/datasets/days-of-zone'
import { literals, quoteIdentifier } from '@aduana/datasets/literals'
import { targetTable } from '@aduana/datasets/target'
import { columnOf } from '../expressions/series-kind.ts'
import type { SeriesPlace } from '../series-place.ts'
import { fieldOf } from './conditions.ts'
import { dateIn, momentIn } from './sql-text.ts'

/** The cells to which all runs of a scan are restricted; null means all. */
export interface Restriction {
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/** The rows of a dataset that a scan reads. */
export interface Rows {
  table: string
  /** SQL for the day, company and warehouse; null where the dataset has none or no run needs it. */
  cells: { day: string; company: string; warehouse: string }
  condition: string
}

/** Returns how to read the rows of some days, with cells only as fine as `finest`. */
export function rowsOf(
  definition: DatasetDefinition,
  days: readonly DayRange[],
  finest: 'total' | 'company' | 'warehouse',
  restriction: Restriction,
): Rows {
  const { company, warehouse } = definition.scope ?? {}
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!window) throw new Error(`dataset "${definition.code}" has no day column`)
  const moment = quoteIdentifier(window.name)
  const zone = window.type === 'timestamp' ? window.timeZone : undefined
  const only = (column: string | undefined, values: readonly string[] | null): string[] =>
    column === undefined || values === null
      ? []
      : [`${quoteIdentifier(column)} = any (array[${literals(values)}]::text[])`]
  const cell = (column: string | undefined, asked: boolean) =>
    asked && column !== undefined ? `${quoteIdentifier(column)}::text` : 'null::text'
  return {
    table: targetTable(definition),
    cells: {
      day: zone === undefined ? moment : dayInZone(moment, zone),
      company: cell(company, finest !== 'total'),
      warehouse: cell(warehouse, finest === 'warehouse'),
    },
    condition: [
      zone === undefined ? dateIn(moment, days) : momentIn(moment, zone, days),
      ...only(company, restriction.companies),
      ...only(warehouse, restriction.warehouses),
    ].join(' and '),
  }
}

/** Returns SQL for a number by which a series orders rows. */
export function orderOf(place: SeriesPlace): string {
  const field = fieldOf(place)
  const type = columnOf(place)?.type
  if (type === 'date') return `(${field} - date '2000-01-01')::numeric`
  return type === 'timestamp' ? `extract(epoch from ${field})` : `${field}::numeric`
}
