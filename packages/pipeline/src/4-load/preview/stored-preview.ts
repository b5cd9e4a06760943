import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImportWarning } from '@aduana/contracts/import-warnings'
import type { ApprovalReason, LoadPreview, StoredPreview } from '@aduana/contracts/load-preview'
import type { Database, Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import type { JobChange } from '@aduana/jobs/lifecycle/transitions'
import { sql } from 'kysely'
import type { StageJob } from '../../stage.ts'
import { registerArtifacts, type StoredArtifact, storeArtifact } from '../../stage-artifacts.ts'
import { loadWarnings, resultWithWarnings } from '../existing-rows.ts'
import { type LoadPlan, plannedDays } from '../plan.ts'

/** A preview, and the basis that it was computed against. */
export interface Computed {
  preview: LoadPreview
  basis: string
}

/** A preview with its file, stored but not yet registered. */
export interface SavedPreview extends Computed {
  needsApproval: ApprovalReason[]
  file: StoredArtifact
}

/** Stores a preview as a file of the job. */
export async function savePreviewFile(
  job: StageJob,
  computed: Computed,
  needsApproval: ApprovalReason[],
): Promise<SavedPreview> {
  const path = join(job.folder, 'preview.json')
  const { preview, basis } = computed
  const content = {
    jobId: job.facts.jobId,
    dataset: job.facts.definition.code,
    basis,
    needsApproval,
    ...preview,
  }
  await writeFile(path, `${JSON.stringify(content, null, 2)}\n`)
  const file = await storeArtifact(job, { path, name: 'preview.json', mediaType: 'application/json' })
  return { ...computed, needsApproval, file }
}

/** Makes a preview the current one of its job, not yet approved. */
export async function storePreview(tx: Tx, job: StageJob, kept: SavedPreview): Promise<void> {
  const stored: StoredPreview = { preview: kept.preview, needsApproval: kept.needsApproval }
  const row = { basis_sha256: kept.basis, preview: jsonb(stored), created_at: sql<Date>`clock_timestamp()` }
  await tx
    .insertInto('load_previews')
    .values({ job_id: job.facts.jobId, ...row })
    .onConflict((conflict) =>
      conflict.column('job_id').doUpdateSet({ ...row, approved_by: null, approved_at: null }),
    )
    .execute()
  await registerArtifacts(tx, job, [kept.file])
}

/**
 * Returns the change that adds the summary of a preview and its warnings to the result of a job. A load that would be
 * refused gets only that warning, because it would affect no rows.
 */
export function withSummary(
  { facts }: StageJob,
  { preview, basis, needsApproval }: SavedPreview,
  refused?: ImportWarning,
): Pick<JobChange, 'result'> {
  const { totals, alreadyPresent, sameVersion, rows, sums, newMembers } = preview
  const summary = jsonb({
    preview: { ...totals, alreadyPresent, sameVersion, rows, sums, newMembers, basis, needsApproval },
  })
  const replaces = facts.mode === 'replace-window'
  const counts = replaces ? { rows: rows.after, removed: rows.before } : { rows: totals.inserted, removed: 0 }
  const result = refused
    ? resultWithWarnings([], [refused])
    : resultWithWarnings(loadWarnings(facts.definition, counts, preview))
  return { result: sql<string>`${result} || ${summary}::jsonb` }
}

/** Whether an approval of a job was requested, and what was approved. */
export interface Asked {
  asked: boolean
  /** The current preview: its basis, its time, and whether it is approved. */
  preview: { basis: string; createdAt: Date; approved: boolean } | undefined
}

/** Returns which approvals of a job have been requested and given so far. */
export async function readAsked(db: Database, jobId: string): Promise<Asked> {
  const row = await db
    .selectFrom('jobs')
    .leftJoin('load_previews', 'load_previews.job_id', 'jobs.id')
    .select([
      'jobs.approval_asked_at',
      'load_previews.basis_sha256',
      'load_previews.created_at',
      'load_previews.approved_at',
    ])
    .where('jobs.id', '=', jobId)
    .executeTakeFirstOrThrow()
  const { basis_sha256: basis, created_at: createdAt, approved_at: approvedAt } = row
  return {
    asked: row.approval_asked_at !== null,
    preview:
      basis === null || createdAt === null ? undefined : { basis, createdAt, approved: approvedAt !== null },
  }
}

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
