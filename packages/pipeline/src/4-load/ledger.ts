import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import { dayAndScope, targetTable } from '@aduana/datasets/target'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'

/** A day of a replace scope. */
export interface LedgerDay {
  scope: string
  day: Day
}

/** A day of a replace scope, with its number of rows. */
export const LedgerEntry = z.object({ scope: z.string(), day: Day, rows: z.coerce.number().int() })
export type LedgerEntry = z.infer<typeof LedgerEntry>

/** Locks the ledger entries of the given days, in every scope, ordered by scope and day. */
export async function lockDays(tx: Tx, datasetId: string, days: readonly { day: Day }[]): Promise<void> {
  await sql`select from window_ledger where dataset_id = ${datasetId}
    and day = any (${[...new Set(days.map(({ day }) => day))]}::date[])
    order by scope, day for no key update`.execute(tx)
}

/** Returns the number of rows in the target for the given days, by scope. Days without rows are omitted. */
export async function countDays(
  tx: Tx,
  definition: DatasetDefinition,
  days: readonly Day[],
): Promise<LedgerEntry[]> {
  const where = dayAndScope(definition)
  if (where === undefined || days.length === 0) return []
  const { column, day, scope } = where
  const rows = await sql<{ scope: string; day: Day; rows: string }>`
    select ${sql.raw(scope)} as scope, ${sql.raw(day)}::text as day, count(*) as rows
    from ${sql.raw(targetTable(definition))}
    where ${sql.raw(column)} >= (select min(d) from unnest(${days}::date[]) d)::timestamp - interval '1 day'
      and ${sql.raw(column)} < (select max(d) from unnest(${days}::date[]) d)::timestamp + interval '2 days'
      and ${sql.raw(day)} = any (${days}::date[])
    group by 1, 2`.execute(tx)
  return rows.rows.map((row) => ({ ...row, rows: Number(row.rows) }))
}

/** Counts the rows of days again and updates their existing ledger entries. Owners do not change. */
export async function recount(
  tx: Tx,
  { datasetId, definition }: Pick<StageJob['facts'], 'datasetId' | 'definition'>,
  touched: readonly LedgerDay[],
): Promise<void> {
  if (touched.length === 0) return
  const counted = await countDays(tx, definition, [...new Set(touched.map(({ day }) => day))])
  const rows = new Map(counted.map((entry) => [place(entry), entry.rows]))
  const entries = new Map(
    touched.map(({ scope, day }) => [
      place({ scope, day }),
      { scope, day, rows: rows.get(place({ scope, day })) ?? 0 },
    ]),
  )
  await sql`update window_ledger l set rows = c.rows, version = l.version + 1, updated_at = now()
    from ${recordset([...entries.values()])}
    where l.dataset_id = ${datasetId} and l.scope = c.scope and l.day = c.day`.execute(tx)
}

function place({ scope, day }: LedgerDay): string {
  return `${day} ${scope}`
}

/** Returns entries as a table `c` for use in a statement. */
export function recordset(entries: readonly LedgerEntry[]) {
  return sql`jsonb_to_recordset(${JSON.stringify(entries)}::jsonb) as c(scope text, day date, rows bigint)`
}

/** Returns the days of the rows in a table, such as a before-image. */
export async function daysOf(tx: Tx, definition: DatasetDefinition, table: string): Promise<LedgerDay[]> {
  const where = dayAndScope(definition)
  if (where === undefined) return []
  const rows = await sql<LedgerDay>`select distinct ${sql.raw(where.scope)} as scope,
    ${sql.raw(where.day)}::text as day from ${sql.raw(table)}`.execute(tx)
  return rows.rows
}
