import { holdersOf, LOCKS, shareLock } from '@aduana/db/advisory-locks'
import type { Database, Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** The heartbeat timeout of a stage attempt. */
export const HEARTBEAT_TIMEOUT_SECONDS = 5

/**
 * Marks a transaction as working on a job, so that `terminateStaleBackends` can find it. Must be the first statement of the
 * transaction: the process can freeze at any later one, while it holds locks that its successor needs.
 */
export async function markBackend(tx: Tx, jobId: string): Promise<void> {
  await shareLock(tx, LOCKS.workOnJob(jobId))
}

/**
 * Terminates the connections whose transactions work on a job, unless a stage attempt of the job has a recent heartbeat.
 * Attempts of the worker `ended` do not count.
 */
export async function terminateStaleBackends(db: Database, jobId: string, ended?: string): Promise<void> {
  await sql`select pg_terminate_backend(h.pid) from (${holdersOf(LOCKS.workOnJob(jobId))}) h
    where not exists (select from stage_results s where s.job_id = ${jobId} and s.state = 'running'
        and s.worker is distinct from ${ended ?? null}
        and s.heartbeat_at > clock_timestamp() - make_interval(secs => ${HEARTBEAT_TIMEOUT_SECONDS}))`.execute(
    db,
  )
}
