import { hasRole, type Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { type ApproveRequest, JobPreview, StoredPreview } from '@aduana/contracts/load-preview'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction, readAs, type Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { readJob } from '../read/jobs.ts'
import { tryChangeJob, wakeDispatchers } from './transitions.ts'

/**
 * Returns the preview of a job that `principal` may see.
 * @throws ProblemError `not_found`, also while the job has no preview yet
 */
export async function readPreview(db: Database, principal: Principal, id: string): Promise<JobPreview> {
  const job = await readJob(db, principal, id)
  const row = await readAs(db, principal, (tx) =>
    tx
      .selectFrom('load_previews')
      .select(['basis_sha256', 'preview', 'created_at', 'approved_by', 'approved_at'])
      .where('job_id', '=', id)
      .executeTakeFirst(),
  )
  if (!row)
    throw new ProblemError(
      'not_found',
      `The job ${id} has no preview, or you have no access to it. A dry run has a preview once it has completed, an import once it waits for approval. Previews of jobs that ended long ago are removed.`,
    )
  const { preview, needsApproval } = StoredPreview.parse(row.preview)
  return JobPreview.parse({
    jobId: id,
    dryRun: job.dryRun,
    basis: row.basis_sha256,
    preview,
    needsApproval,
    createdAt: row.created_at.toISOString(),
    approvedBy: row.approved_by === null ? null : await approver(db, row.approved_by),
    approvedAt: row.approved_at?.toISOString() ?? null,
  })
}

/** Returns the user who approved a preview. Reads without the reader's row policy, which hides other users. */
function approver(db: Database, id: string): Promise<{ id: string; email: string }> {
  return db.selectFrom('users').select(['id', 'email']).where('id', '=', id).executeTakeFirstOrThrow()
}

/**
 * Approves the preview of a waiting import. The import continues and publishes exactly what the preview shows, or nothing.
 * An approval that the dataset requires needs a steward or an admin. One that only the uploader requested can also be given
 * by the uploader.
 * @throws ProblemError `not_found`, `forbidden`, `illegal_transition`, `approval_lapsed` when `basis` is not the current
 * preview
 */
export async function approveJob(
  db: Database,
  principal: Principal,
  id: string,
  { basis }: ApproveRequest,
): Promise<Job> {
  await readJob(db, principal, id)
  // Checked before the preview is read, so that users who may not approve do not learn whether there is one.
  if (!hasRole(principal.role, 'operator'))
    throw new ProblemError(
      'forbidden',
      'Approving requires the role operator, steward or admin. Ask an admin.',
    )
  await mustWait(db, id)
  const seen = await readPreview(db, principal, id)
  await inTransaction(db, async (tx) => {
    await approve(tx, principal, id, basis ?? seen.basis)
    await failPoint('approve.before-commit')
  })
  await failPoint('approve.after-commit')
  return readJob(db, principal, id)
}

async function approve(tx: Tx, principal: Principal, id: string, basis: string): Promise<void> {
  const job = await mustWait(tx, id, true)
  const row = await tx
    .selectFrom('load_previews')
    .select(['basis_sha256', 'preview'])
    .where('job_id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  if (row.basis_sha256 !== basis)
    throw new ProblemError(
      'approval_lapsed',
      'The rows have changed since this preview was made. Check the new preview and approve that one.',
      { basis: row.basis_sha256 },
    )
  const { needsApproval } = StoredPreview.parse(row.preview)
  const onlyAsked = needsApproval.every(({ code }) => code === 'requested')
  if (!hasRole(principal.role, 'steward') && !(onlyAsked && job.user_id === principal.userId))
    throw new ProblemError(
      'forbidden',
      onlyAsked
        ? 'Only the uploader, a steward or an admin may approve this import.'
        : `Only a steward or an admin may approve this import: ${needsApproval.map(({ detail }) => detail).join('; ')}.`,
    )
  await tx
    .updateTable('load_previews')
    .set({ approved_by: principal.userId, approved_at: sql<Date>`clock_timestamp()` })
    .where('job_id', '=', id)
    .execute()
  const version = await tryChangeJob(
    tx,
    { jobId: id, from: ['PROCESSING'], unlessCancelled: true },
    { waiting_for: null, admitted_at: null, message: `Approved by ${principal.email}` },
  )
  if (version === undefined) throw notWaiting(job.status)
  await appendEvent(tx, {
    key: `${id}:approved:${version}`,
    jobId: id,
    event: { type: 'job.approved', basis, by: principal.email },
  })
  await audit(tx, {
    actor: principal.userId,
    action: 'job.approve',
    subjectType: 'job',
    subjectId: id,
    details: { basis },
  })
  await wakeDispatchers(tx)
}

/** @throws ProblemError `illegal_transition` unless the job waits for approval */
async function mustWait(db: Database | Tx, id: string, lock = false) {
  const job = await db
    .selectFrom('jobs')
    .select(['status', 'waiting_for', 'user_id'])
    .where('id', '=', id)
    .$if(lock, (query) => query.forNoKeyUpdate())
    .executeTakeFirstOrThrow()
  if (job.status !== 'PROCESSING' || job.waiting_for !== 'approval') throw notWaiting(job.status)
  return job
}

function notWaiting(status: string): ProblemError {
  return new ProblemError('illegal_transition', `The job is ${status} and is not waiting for approval.`)
}
