import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type DayRange, nextDay } from '@aduana/contracts/dates'
import { targetName, targetTable } from '@aduana/datasets/target'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** The days of which a dataset has rows, from the first to the last; undefined when it has none, or no days. */
export async function daysOfDataset(tx: Tx, definition: DatasetDefinition): Promise<DayRange | undefined> {
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!window) return undefined
  const column = sql.ref(targetName(definition, window.name))
  const day = (value: typeof column) =>
    window.type === 'timestamp' ? sql`(${value} at time zone ${window.timeZone})::date` : value
  const rows = await sql<{ first: string | null; last: string | null }>`
    select ${day(sql`min(${column})`)}::text as first, ${day(sql`max(${column})`)}::text as last
    from ${sql.raw(targetTable(definition))}`.execute(tx)
  const { first, last } = rows.rows[0] ?? {}
  return first && last ? { from: first, to: nextDay(last) } : undefined
}
