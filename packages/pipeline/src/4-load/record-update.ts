import { randomUUID } from 'node:crypto'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import { coverageIn, coversAll } from '@aduana/datasets/coverage'
import { beforeTable } from '@aduana/datasets/upsert'
import type { Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { sql } from 'kysely'
import type { StageJob } from '../stage.ts'
import {
  countDays,
  daysOf,
  type LedgerDay,
  type LedgerEntry,
  lockDays,
  recordset,
  recount,
} from './ledger.ts'
import type { Places, Publishing, Written } from './write-rows.ts'

/**
 * Records the consequences of the load, in its transaction: the new owner of its days, the dataset update, and the open
 * rejects that are superseded because everything their import loaded was replaced. Returns the id of the dataset
 * update.
 */
export async function recordUpdate(
  tx: Tx,
  job: StageJob,
  publishing: Publishing,
  written: Written,
): Promise<string> {
  const before = job.facts.mode === 'replace-window' ? await formerOwners(tx, job, publishing) : []
  await writeLedger(tx, job, publishing, written)
  await supersede(tx, job.stageAttempt.jobId, before)
  const places = written.places ?? (await changedPlaces(tx, job, publishing, written))
  return writeUpdate(tx, job, {
    cause: 'load',
    days: places.days ?? [],
    scopes: publishing.plan.windows.map(({ scope }) => scope),
    companies: places.companies,
    warehouses: places.warehouses,
    rows: written.inserted + written.updated,
  })
}

/** Returns the jobs that own the days whose rows this load replaces. */
async function formerOwners(tx: Tx, job: StageJob, { plan }: Publishing): Promise<string[]> {
  const { companies, warehouses } = coverageIn(job.facts.definition, job.facts)
  const owners = new Set<string>()
  for (const window of plan.windows) {
    const rows = await sql<{
      job_id: string
    }>`select distinct l.job_id from window_ledger l join jobs o on o.id = l.job_id
      where l.dataset_id = ${job.facts.datasetId} and l.scope = ${window.scope}
        and l.day <@ daterange(${window.from}::date, ${window.to}::date) and l.job_id <> ${job.stageAttempt.jobId}
        and (${companies}::text[] is null or o.companies <@ ${companies}::text[])
        and (${warehouses}::text[] is null or o.warehouses <@ ${warehouses}::text[])`.execute(tx)
    for (const row of rows.rows) owners.add(row.job_id)
  }
  return [...owners]
}

async function writeLedger(tx: Tx, job: StageJob, publishing: Publishing, written: Written): Promise<void> {
  const { facts, stageAttempt } = job
  const left = facts.mode === 'upsert' ? await daysLeft(tx, job, publishing) : []
  const entries = await ledgerEntries(tx, job, publishing, written)
  await sql`insert into window_ledger_before (job_id, dataset_id, scope, day, former_job_id, former_rows)
    select ${stageAttempt.jobId}::uuid, ${facts.datasetId}::uuid, c.scope, c.day, l.job_id, l.rows
    from ${recordset(entries)} left join window_ledger l
      on l.dataset_id = ${facts.datasetId} and l.scope = c.scope and l.day = c.day`.execute(tx)
  await sql`insert into window_ledger (dataset_id, scope, day, job_id, rows)
    select ${facts.datasetId}::uuid, c.scope, c.day, ${stageAttempt.jobId}::uuid, c.rows from ${recordset(entries)}
    on conflict (dataset_id, scope, day) do update set job_id = excluded.job_id,
      rows = ${facts.mode === 'append' ? sql`window_ledger.rows + excluded.rows` : sql`excluded.rows`},
      version = window_ledger.version + 1, updated_at = now()`.execute(tx)
  const touched = new Set(entries.map(({ scope, day }) => `${day} ${scope}`))
  await recount(
    tx,
    facts,
    left.filter(({ scope, day }) => !touched.has(`${day} ${scope}`)),
  )
}

/**
 * Returns the days that an upsert moved rows away from, which now hold fewer rows. They may lie outside its windows,
 * where another load also counts them: the entries of all days are locked before any is counted or written.
 */
async function daysLeft(tx: Tx, { facts }: StageJob, { plan }: Publishing): Promise<LedgerDay[]> {
  const days = await daysOf(tx, facts.definition, beforeTable(facts.definition))
  await lockDays(tx, facts.datasetId, [...plan.validated.days, ...days])
  return days
}

/**
 * Returns the entries of the touched days. An upsert may leave rows of a day unchanged, so its days are counted again;
 * likewise the days of a replacing load that covers only some companies or warehouses.
 */
async function ledgerEntries(
  tx: Tx,
  job: StageJob,
  { plan }: Publishing,
  { removedDays = [] }: Written,
): Promise<LedgerEntry[]> {
  const { windows, validated } = plan
  const { definition, window, mode } = job.facts
  if (mode === 'upsert' && definition.windowColumn !== undefined) {
    const wanted = [...new Set(validated.days.map((entry) => entry.day))]
    return countDays(tx, definition, wanted)
  }
  const brought = validated.days
  const entries = window ? await fillWindow(tx, window, windows[0]?.scope ?? '', brought) : brought
  if (mode !== 'replace-window' || coversAll(definition, job.facts)) return entries
  return countShared(tx, definition, entries, [...brought, ...removedDays])
}

/** Returns every day of a declared window, with the number of rows that the load inserted. */
async function fillWindow(
  tx: Tx,
  window: { from: Day; to: Day },
  scope: string,
  brought: readonly LedgerEntry[],
): Promise<LedgerEntry[]> {
  const all = await sql<{ day: Day }>`select d::date::text as day
    from generate_series(${window.from}::date, ${window.to}::date - 1, interval '1 day') d`.execute(tx)
  return all.rows.map(({ day }) => ({
    scope,
    day,
    rows: brought.find((entry) => entry.day === day)?.rows ?? 0,
  }))
}

/** Counts days that may hold rows of other loads: all rows of the days that the load wrote to, and of the empty days. */
async function countShared(
  tx: Tx,
  definition: DatasetDefinition,
  entries: readonly LedgerEntry[],
  written: readonly LedgerDay[],
): Promise<LedgerEntry[]> {
  const place = ({ scope, day }: LedgerDay) => `${day} ${scope}`
  const counted = await countDays(tx, definition, [...new Set(entries.map(({ day }) => day))])
  const rows = new Map(counted.map((entry) => [place(entry), entry.rows]))
  const touched = new Set(written.map(place))
  return entries
    .map((entry) => ({ ...entry, rows: rows.get(place(entry)) ?? 0 }))
    .filter((entry) => entry.rows === 0 || touched.has(place(entry)))
}

/** Marks open rejects as superseded if nothing of their import is left in the table: their records were sent again. */
async function supersede(tx: Tx, jobId: string, formerOwners: readonly string[]): Promise<void> {
  if (formerOwners.length === 0) return
  // Two loads that take the last two days of an import may run at once: the later one must see what the earlier one
  // took.
  await sql`select from imports where job_id = any (${[...formerOwners]}::uuid[])
    order by job_id for no key update`.execute(tx)
  await sql`update quarantined_records set state = 'superseded', superseded_by = ${jobId}, updated_at = now()
    where state = 'open' and job_id = any (${[...formerOwners]}::uuid[]) and job_id <> ${jobId}
      and not exists (select from window_ledger l where l.job_id = quarantined_records.job_id)`.execute(tx)
}

/**
 * Returns where a replacing or appending load changed rows: the days of its rows, the days of a declared window that it
 * emptied, and the companies or warehouses if they are the replace scope. Requires that the ledger entries of the load
 * are written.
 */
async function changedPlaces(
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

/** How a dataset changed. */
interface DatasetChange {
  cause: 'load' | 'undo'
  days: readonly Day[]
  scopes: readonly string[]
  /** Null means unknown, which stands for all. */
  companies: readonly string[] | null
  warehouses: readonly string[] | null
  rows: number
}

/**
 * Records that a job changed its dataset, in the same transaction, for everything that depends on the dataset. Records
 * it once per job. Returns the id of the update.
 */
export async function writeUpdate(
  tx: Tx,
  { facts, stageAttempt }: StageJob,
  change: DatasetChange,
): Promise<string> {
  const { cause, days, scopes, companies, warehouses, rows } = change
  const updateId = randomUUID()
  const eventKey = `${stageAttempt.jobId}:${cause === 'load' ? 'loaded' : 'undone'}`
  await sql`insert into dataset_updates
      (id, dataset_id, job_id, event_key, days, companies, warehouses, scopes, rows, cause)
    values (${updateId}, ${facts.datasetId}, ${stageAttempt.jobId}, ${eventKey},
      coalesce((select range_agg(daterange(d, d + 1)) from unnest(${days}::date[]) d), '{}'::datemultirange),
      ${companies}::text[], ${warehouses}::text[], ${scopes}::text[], ${rows}, ${cause})`.execute(tx)
  await appendEvent(tx, {
    key: `${stageAttempt.jobId}:dataset-updated`,
    jobId: stageAttempt.jobId,
    datasetId: facts.datasetId,
    event: {
      type: 'dataset.updated',
      dataset: facts.definition.code,
      updateId,
      days: [...days],
      scopes: [...scopes],
      rows,
      cause,
    },
  })
  return updateId
}
