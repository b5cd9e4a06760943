import { createHash } from 'node:crypto'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import type { StageJob } from '../../stage.ts'
import { type LoadPlan, plannedDays } from '../plan.ts'

/**
 * Returns the SHA-256 over everything that the outcome of a load depends on, as visible to `tx`: the clean file, the
 * definition, mode and windows, the owner and version of each touched day in the ledger, and every update of the
 * dataset that concerns the rows of this load. If it is equal at two moments, the load would have the same outcome at
 * both.
 */
export async function readBasis(tx: Tx, job: StageJob, plan: LoadPlan): Promise<string> {
  const { facts } = job
  const clean = await tx
    .selectFrom('artifacts')
    .select('sha256')
    .where('job_id', '=', facts.jobId)
    .where('name', '=', 'clean.parquet')
    .executeTakeFirstOrThrow()
  const basis = {
    clean: clean.sha256,
    dataset: facts.datasetId,
    version: facts.datasetVersion,
    mode: facts.mode,
    windows: plan.windows.map(({ scope, from, to }) => [scope, from, to]),
    ledger: await ledgerDigest(tx, job, plan),
    updates: await updatesDigest(tx, job, plan),
  }
  return createHash('sha256').update(JSON.stringify(basis)).digest('hex')
}

/** Returns the jobs that have changed rows that concern a load since `since`, oldest first, at most twenty. */
export async function changedSince(tx: Tx, job: StageJob, plan: LoadPlan, since: Date): Promise<string[]> {
  const found = await sql<{ job_id: string }>`
    select u.job_id from dataset_updates u join jobs j on j.id = u.job_id
    where ${concerns(job, plan)} and greatest(u.created_at, j.loaded_at) >= ${since}
    group by u.job_id order by min(u.created_at), u.job_id limit 20`.execute(tx)
  return found.rows.map((row) => row.job_id)
}

async function ledgerDigest(tx: Tx, job: StageJob, plan: LoadPlan): Promise<string> {
  const days = JSON.stringify(plannedDays(plan))
  const found = await sql<{ digest: string }>`
    select coalesce(md5(string_agg(concat_ws('|', l.scope, l.day, l.job_id, l.version), ',' order by l.scope, l.day)), '') as digest
    from window_ledger l
    where l.dataset_id = ${job.facts.datasetId} and exists (
      select from jsonb_to_recordset(${days}::jsonb) as p(scope text, days jsonb)
      where p.scope = l.scope and p.days ? l.day::text)`.execute(tx)
  return found.rows[0]?.digest ?? ''
}

async function updatesDigest(tx: Tx, job: StageJob, plan: LoadPlan): Promise<string> {
  const found = await sql<{ digest: string }>`
    select coalesce(md5(string_agg(u.id::text, ',' order by u.id)), '') as digest from dataset_updates u
    where ${concerns(job, plan)}`.execute(tx)
  return found.rows[0]?.digest ?? ''
}

/**
 * Selects the updates that may have changed rows of this load. An upsert finds its rows by key on any day, so every
 * update of the dataset concerns it. For the other modes only updates of their days count; but an upsert of other days
 * may have moved a row out of them, which neither its days nor the ledger show.
 */
function concerns(job: StageJob, plan: LoadPlan) {
  const { facts } = job
  const { definition, datasetId, mode } = facts
  const all = mode === 'upsert' || definition.windowColumn === undefined
  if (all) return sql`u.dataset_id = ${datasetId}`
  const days = [...new Set(plannedDays(plan).flatMap((entry) => entry.days))].sort()
  const scopes = plan.windows.map(({ scope }) => scope)
  const moved = sql`${definition.key !== undefined}::boolean and coalesce(
    (select i.mode from imports i join jobs w on w.id = u.job_id where i.job_id in (w.id, w.parent_id)
      order by i.job_id = w.id desc limit 1),
    'upsert') = 'upsert'`
  return sql`u.dataset_id = ${datasetId} and (
    (u.days && coalesce((select range_agg(daterange(d, d + 1)) from unnest(${days}::date[]) d), '{}'::datemultirange)
      and u.scopes && ${scopes}::text[])
    or (${moved}))`
}
