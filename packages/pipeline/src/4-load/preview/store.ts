import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImportWarning } from '@aduana/contracts/import-warnings'
import type { ApprovalReason, StoredPreview } from '@aduana/contracts/load-preview'
import type { Database, Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import type { JobChange } from '@aduana/jobs/lifecycle/transitions'
import { sql } from 'kysely'
import type { StageJob } from '../../stage.ts'
import { registerArtifacts, type StoredArtifact, storeArtifact } from '../../stage-artifacts.ts'
import { loadWarnings, resultWithWarnings } from '../existing-rows.ts'
import type { Computed } from './compute.ts'

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
