import type { Day } from '@aduana/contracts/dates'
import { targetTable } from '@aduana/datasets/target'
import type { Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { sql } from 'kysely'
import type { StageJob } from '../stage.ts'
import type { Publishing } from './publishing.ts'

/**
 * Write down what the load means, in its transaction: which job the days now belong to, that the dataset has changed,
 * and which open rejects no longer matter because everything their import loaded was replaced.
 */
export async function recordUpdate(
  tx: Tx,
  job: StageJob,
  publishing: Publishing,
  update: { updateId: string; rows: number },
): Promise<void> {
  const { facts, run } = job
  const before = facts.mode === 'replace-window' ? await formerOwners(tx, job, publishing) : []
  await writeLedger(tx, job, publishing)
  await supersede(tx, run.jobId, before)
  const days = [...new Set(publishing.validated.days.map(({ day }) => day))].sort()
  const scopes = publishing.windows.map(({ scope }) => scope)
  const changed = facts.window
    ? sql`datemultirange(daterange(${facts.window.from}::date, ${facts.window.to}::date))`
    : sql`coalesce((select range_agg(daterange(d, d + 1)) from unnest(${days}::date[]) d), '{}'::datemultirange)`
  await sql`insert into dataset_updates (id, dataset_id, job_id, event_key, days, scopes, rows)
    values (${update.updateId}, ${facts.datasetId}, ${run.jobId}, ${`${run.jobId}:loaded`}, ${changed},
      ${scopes}::text[], ${update.rows})`.execute(tx)
  await appendEvent(tx, {
    key: `${run.jobId}:dataset-updated`,
    jobId: run.jobId,
    datasetId: facts.datasetId,
    event: {
      type: 'dataset.updated',
      dataset: facts.definition.code,
      updateId: update.updateId,
      days,
      scopes,
      rows: update.rows,
    },
  })
}

async function formerOwners(tx: Tx, job: StageJob, { windows }: Publishing): Promise<string[]> {
  const owners = new Set<string>()
  for (const window of windows) {
    const rows = await sql<{ job_id: string }>`select distinct job_id from window_ledger
      where dataset_id = ${job.facts.datasetId} and scope = ${window.scope}
        and day <@ daterange(${window.from}::date, ${window.to}::date) and job_id <> ${job.run.jobId}`.execute(
      tx,
    )
    for (const row of rows.rows) owners.add(row.job_id)
  }
  return [...owners]
}

async function writeLedger(tx: Tx, job: StageJob, publishing: Publishing): Promise<void> {
  const { facts, run } = job
  const entries = await ledgerEntries(tx, job, publishing)
  await sql`insert into window_ledger (dataset_id, scope, day, job_id, rows)
    select ${facts.datasetId}::uuid, e.scope, e.day, ${run.jobId}::uuid, e.rows
    from jsonb_to_recordset(${JSON.stringify(entries)}::jsonb) as e(scope text, day date, rows bigint)
    on conflict (dataset_id, scope, day) do update set job_id = excluded.job_id,
      rows = ${facts.mode === 'append' ? sql`window_ledger.rows + excluded.rows` : sql`excluded.rows`},
      version = window_ledger.version + 1, updated_at = now()`.execute(tx)
}

interface Entry {
  scope: string
  day: Day
  rows: number
}

/** What the touched days hold. An upsert may leave rows of a day as they were, so its days are counted. */
async function ledgerEntries(tx: Tx, job: StageJob, { windows, validated }: Publishing): Promise<Entry[]> {
  const { definition, window, mode } = job.facts
  if (mode === 'upsert' && definition.windowColumn !== undefined) return countDays(tx, job, validated.days)
  if (!window) return validated.days
  const [scope = ''] = windows.map((entry) => entry.scope)
  const all = await sql<{ day: Day }>`select d::date::text as day
    from generate_series(${window.from}::date, ${window.to}::date - 1, interval '1 day') d`.execute(tx)
  return all.rows.map(({ day }) => ({
    scope,
    day,
    rows: validated.days.find((entry) => entry.day === day)?.rows ?? 0,
  }))
}

async function countDays(tx: Tx, job: StageJob, days: readonly Entry[]): Promise<Entry[]> {
  const { definition } = job.facts
  const column = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!column) return []
  const value = sql.ref(column.name)
  const day =
    column.type === 'timestamp' ? sql`(${value} at time zone ${sql.lit(column.timeZone)})::date` : value
  const scope =
    definition.replaceScope === undefined ? sql`''` : sql`${sql.ref(definition.replaceScope)}::text`
  const wanted = [...new Set(days.map((entry) => entry.day))]
  const rows = await sql<{ scope: string; day: Day; rows: string }>`
    select ${scope} as scope, ${day}::text as day, count(*) as rows from ${sql.raw(targetTable(definition))}
    where ${value} >= (select min(d) from unnest(${wanted}::date[]) d)::timestamp - interval '1 day'
      and ${value} < (select max(d) from unnest(${wanted}::date[]) d)::timestamp + interval '2 days'
      and ${day} = any (${wanted}::date[])
    group by 1, 2`.execute(tx)
  return rows.rows.map((row) => ({ ...row, rows: Number(row.rows) }))
}

/** Open rejects of imports of which nothing is left in the table: what they held was sent again. */
async function supersede(tx: Tx, jobId: string, formerOwners: readonly string[]): Promise<void> {
  if (formerOwners.length === 0) return
  await sql`update quarantined_records set state = 'superseded', updated_at = now()
    where state = 'open' and job_id = any (${[...formerOwners]}::uuid[]) and job_id <> ${jobId}
      and not exists (select from window_ledger l where l.job_id = quarantined_records.job_id)`.execute(tx)
}
