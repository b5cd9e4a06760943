import { holdersOf } from '@aduana/db/advisory-locks'
import type { Database, Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** A run whose last sign of life is older is taken for dead. */
export const HEARTBEAT_SECONDS = 5

const keyOf = (jobId: string) => sql`hashtextextended(${`work on job ${jobId}`}, 0)`

/**
 * Mark a transaction as one that works on a job, so that it can be found from outside. Its first statement: a process
 * may be frozen at any of the later ones, holding locks that whoever takes the work over needs.
 */
export async function markWork(tx: Tx, jobId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${keyOf(jobId)})`.execute(tx)
}

/**
 * Terminates the connections whose transactions work on a job, unless a run of the job has a recent heartbeat. Runs of
 * the worker `ended` do not count.
 */
export async function evictDeadWork(db: Database, jobId: string, ended?: string): Promise<void> {
  await sql`select pg_terminate_backend(h.pid) from (${holdersOf(keyOf(jobId))}) h
    where not exists (select from stage_results s where s.job_id = ${jobId} and s.state = 'running'
        and s.worker is distinct from ${ended ?? null}
        and s.heartbeat_at > clock_timestamp() - make_interval(secs => ${HEARTBEAT_SECONDS}))`.execute(db)
}
