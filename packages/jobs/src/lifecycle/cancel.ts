import { hasRole, type Principal } from '@aduana/contracts/identity'
import { isFinal, JobStatus } from '@aduana/contracts/job-states'
import type { Job } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction } from '@aduana/db/database'
import { sql } from 'kysely'
import { readJob } from '../read/jobs.ts'
import { tryCancelJob } from './finish.ts'
import { changeJob } from './transitions.ts'

/** Channel that notifies the worker of a job of a request to cancel it. The payload is the job's id. */
const CANCEL_CHANNEL = 'aduana_cancel'

/**
 * Cancels a job and returns it. A job that no worker executes ends at once. Otherwise its worker is notified, and stops
 * within a second or two. A job whose load has committed can no longer be cancelled.
 * @throws ProblemError `not_found`, `forbidden`, `illegal_transition`
 */
export async function cancelJob(db: Database, principal: Principal, id: string): Promise<Job> {
  await readJob(db, principal, id)
  if (!hasRole(principal.role, 'operator'))
    throw new ProblemError(
      'forbidden',
      'Cancelling requires the role operator, steward or admin. Ask an admin.',
    )
  await inTransaction(db, async (tx) => {
    const job = await tx
      .selectFrom('jobs')
      .select(['type', 'status', 'loaded_at', 'waiting_for', 'attempt'])
      .where('id', '=', id)
      .forNoKeyUpdate()
      .executeTakeFirstOrThrow()
    const status = JobStatus.parse(job.status)
    if (isFinal(status))
      throw new ProblemError('illegal_transition', `The job is already ${status}, so it cannot be cancelled.`)
    if (job.loaded_at !== null)
      throw new ProblemError(
        'illegal_transition',
        job.type === 'undo'
          ? 'The import has already been undone. To restore its rows, import the file again.'
          : 'The rows have already been loaded. Wait until the import has completed, then undo it.',
      )
    await audit(tx, { actor: principal.userId, action: 'job.cancel', subjectType: 'job', subjectId: id })
    if (status === 'QUEUED' || job.waiting_for !== null) {
      if (!(await tryCancelJob(tx, { jobId: id })))
        throw new Error(`job ${id} changed while its row was locked`)
      return
    }
    await changeJob(
      tx,
      { jobId: id, from: ['PROCESSING'] },
      { cancel_requested_at: sql<Date>`clock_timestamp()`, message: 'Cancelling' },
    )
    await sql`select pg_notify(${CANCEL_CHANNEL}, ${id})`.execute(tx)
  })
  return readJob(db, principal, id)
}
