import { Day } from '@aduana/contracts/dates'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import type { LedgerDay } from './ledger.ts'
import type { Publishing } from './publishing.ts'

const List = z.array(z.string()).nullable()

/** The days, companies and warehouses of some rows. Null means unknown, which stands for all. */
export const Places = z.object({ days: z.array(Day).nullable(), companies: List, warehouses: List })
export type Places = z.infer<typeof Places>

/** Returns the union of two sets of places. */
export function bothPlaces(one: Places, other: Places): Places {
  const both = (a: readonly string[] | null, b: readonly string[] | null) =>
    a === null || b === null ? null : [...new Set([...a, ...b])].sort()
  return {
    days: both(one.days, other.days),
    companies: both(one.companies, other.companies),
    warehouses: both(one.warehouses, other.warehouses),
  }
}

/**
 * Returns where a replacing or appending load changed rows: the days of its rows, the days of a declared window that it
 * emptied, and the companies or warehouses if they are the replace scope. Requires that the ledger entries of the load
 * are written.
 */
export async function changedPlaces(
  tx: Tx,
  job: StageJob,
  { plan: { validated, windows } }: Publishing,
  { removed, removedDays }: { removed: number; removedDays?: readonly LedgerDay[] },
): Promise<Places> {
  const { scope, replaceScope } = job.facts.definition
  const scopes = windows.map((window) => window.scope)
  const days = new Set(validated.days.map(({ day }) => day))
  for (const { day } of removedDays ?? []) days.add(day)
  if (job.facts.window && job.facts.mode === 'replace-window' && removedDays === undefined)
    for (const day of await emptiedDays(tx, job, removed)) days.add(day)
  return {
    days: [...days].sort(),
    companies: replaceScope !== undefined && replaceScope === scope?.company ? scopes : null,
    warehouses: replaceScope !== undefined && replaceScope === scope?.warehouse ? scopes : null,
  }
}

/**
 * Returns the days of a declared window that held rows before, according to the ledger. If the load removed another
 * number of rows than the ledger knew, other writers had changed rows outside of it, possibly on any day; then it
 * returns all days of the window.
 */
async function emptiedDays(tx: Tx, { facts, stageAttempt }: StageJob, removed: number): Promise<Day[]> {
  const rows = await sql<{ day: Day; rows: string }>`select day, former_rows as rows from window_ledger_before
    where job_id = ${stageAttempt.jobId} and dataset_id = ${facts.datasetId}`.execute(tx)
  const known = rows.rows.reduce((sum, { rows: former }) => sum + Number(former ?? 0), 0)
  return rows.rows.filter((row) => known !== removed || Number(row.rows ?? 0) > 0).map(({ day }) => day)
}
