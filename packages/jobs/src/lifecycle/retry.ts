import { Day } from '@aduana/contracts/dates'
import { hasRole, type Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { violatedConstraint } from '@aduana/db/sql-errors'
import { sql } from 'kysely'
import { z } from 'zod'
import { assertNotMetricResults } from '../accept/metric-results.ts'
import { readJob } from '../read/jobs.ts'
import { assertFilesRetained } from '../retention/retry.ts'
import { lockDatasetOfJob } from '../windows/placement.ts'
import { claimWindows, waitForWindows } from '../windows/windows.ts'
import { changeJob, lockOpenJob, tryChangeJob, wakeDispatchers } from './transitions.ts'

/**
 * Retries a failed job from the stage that failed, and returns the job. The artifacts of earlier stages are used again. A
 * declared window is claimed again; when it is not free, the job waits for it.
 * @throws ProblemError `not_found`, `forbidden`, `illegal_transition`, `already_imported`, `undo_open`,
 * `artifact_expired`, `belongs_to_run`
 */
export async function retryJob(db: Database, principal: Principal, id: string): Promise<Job> {
  const job = await readJob(db, principal, id)
  if (!hasRole(principal.role, 'operator'))
    throw new ProblemError(
      'forbidden',
      'Retrying requires the role operator, steward or admin. Ask an admin.',
    )
  if (job.status !== 'FAILED')
    throw new ProblemError(
      'illegal_transition',
      `The job is ${job.status}. Only a FAILED job can be retried.`,
    )
  try {
    await inTransaction(db, (tx) => queueAgain(tx, principal, id))
  } catch (error) {
    const constraint = violatedConstraint(error)
    if (constraint === 'jobs_one_undo')
      throw new ProblemError('undo_open', 'Another job is undoing the import, or has already undone it.')
    if (constraint !== 'jobs_same_bytes_once') throw error
    throw new ProblemError(
      'already_imported',
      'Another job has imported the same bytes in the meantime, so there is nothing to retry.',
    )
  }
  return readJob(db, principal, id)
}

async function queueAgain(tx: Tx, principal: Principal, id: string): Promise<void> {
  await assertNotMetricResults(tx, id, 'Retry the run instead; its runner then receives a new request.')
  if ((await lockDatasetOfJob(tx, id))?.moved)
    throw new ProblemError(
      'illegal_transition',
      'The days, the time zone or the scopes of the dataset have changed since the job was accepted. Upload the file again.',
    )
  const version = await tryChangeJob(
    tx,
    { jobId: id, from: ['FAILED'] },
    {
      status: 'QUEUED',
      message: 'Waiting to be processed again',
      error: null,
      completed_at: null,
      cancel_requested_at: null,
      admitted_at: null,
      lost_count: 0,
    },
  )
  if (version === undefined)
    throw new ProblemError(
      'illegal_transition',
      'The job is no longer FAILED. It may already have been retried.',
    )
  await reserveAgain(tx, id)
  await assertFilesRetained(tx, id)
  await audit(tx, { actor: principal.userId, action: 'job.retry', subjectType: 'job', subjectId: id })
  await wakeDispatchers(tx)
}

const Declared = z.array(z.object({ dataset_id: z.uuid(), scope: z.string(), from: Day, to: Day }))

/** Claims the declared window of a job again, or makes the job wait for it. */
async function reserveAgain(tx: Tx, id: string): Promise<void> {
  const rows = await sql`select dataset_id, coalesce(scopes[1], '') as scope,
      lower(declared_window)::text as from, upper(declared_window)::text as to
    from imports where job_id = ${id} and declared_window is not null
      and not (select dry_run from jobs where id = ${id})`.execute(tx)
  const [declared] = Declared.parse(rows.rows)
  const job = await lockOpenJob(tx, id)
  if (!declared || !job) return
  const { scope, from, to } = declared
  const claim = { job, datasetId: declared.dataset_id, windows: [{ scope, from, to }] }
  const result = await claimWindows(tx, claim)
  if (result.kind === 'held') return
  await waitForWindows(tx, claim, result)
  await changeJob(
    tx,
    { jobId: id, from: ['QUEUED'] },
    { waiting_for: 'window', message: 'Waiting for the window' },
  )
}
