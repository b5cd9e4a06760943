import type { Tx } from '@aduana/db/database'
import { backendPid, inTransactionOnConnection } from '@aduana/db/single-connection'
import { type JobChange, OvertakenError, tryChangeJob } from '@aduana/jobs/lifecycle/transitions'
import { forgetBackend, holdFence, type Lease, recordBackend } from '@aduana/jobs/windows/leases'
import { sql } from 'kysely'
import type pg from 'pg'
import { CancelledError } from '../failure.ts'
import type { PipelineContext, StageJob } from '../stage.ts'

/** The stage attempt that a fenced transaction works for. */
type FencedJob = Pick<StageJob, 'stageAttempt'> & { context: Pick<PipelineContext, 'db' | 'pool' | 'logger'> }

/**
 * Runs `work` in one transaction that begins by locking the job's lock rows, if this process still holds the lease. A
 * successor can terminate its connection. `work` must end with `markLoaded` and `commitStage`: the row of the job is
 * locked last, so that heartbeats continue until then.
 * @throws OvertakenError if the lease is lost
 */
export async function inFencedTransaction(
  job: FencedJob,
  lease: Lease,
  work: (tx: Tx, client: pg.PoolClient) => Promise<void>,
): Promise<void> {
  const { context, stageAttempt } = job
  try {
    await inTransactionOnConnection(context.pool, async (tx, client) => {
      await boundWaits(tx)
      await recordBackend(context.db, lease, await backendPid(client))
      if (!(await holdFence(tx, lease)))
        throw new OvertakenError(`the lease of job ${stageAttempt.jobId} is lost`)
      await work(tx, client)
    })
  } finally {
    // The connection returns to the pool: a successor must not terminate what it does next.
    await forgetBackend(context.db, lease).catch((error: unknown) =>
      context.logger.warn({ event: 'load.backend_not_forgotten', jobId: stageAttempt.jobId, err: error }),
    )
  }
}

/** Limits waits, so that no statement of a load hangs behind another session's lock, and gives index builds enough memory. */
async function boundWaits(tx: Tx): Promise<void> {
  await sql`select set_config('lock_timeout', '15s', true), set_config('statement_timeout', '2h', true),
    set_config('transaction_timeout', '3h', true), set_config('idle_in_transaction_session_timeout', '10min', true),
    set_config('maintenance_work_mem', '256MB', true)`.execute(tx)
}

/**
 * Marks the job as past its point of no return. Only the end of the stage attempt follows.
 * @throws CancelledError, OvertakenError so that the transaction rolls back
 */
export async function markLoaded(
  tx: Tx,
  job: Pick<StageJob, 'stageAttempt'>,
  change: JobChange,
): Promise<void> {
  const { stageAttempt } = job
  // A deferred constraint would otherwise fail only at the commit. Checking it here reports what the table refuses.
  await sql`set constraints all immediate`.execute(tx)
  const version = await tryChangeJob(
    tx,
    { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt, from: ['PROCESSING'], unlessCancelled: true },
    { ...change, loaded_at: sql<Date>`clock_timestamp()` },
  )
  if (version !== undefined) return
  const asked = await tx
    .selectFrom('jobs')
    .select('cancel_requested_at')
    .where('id', '=', stageAttempt.jobId)
    .where('attempt', '=', stageAttempt.attempt)
    .executeTakeFirst()
  if (asked?.cancel_requested_at != null) throw new CancelledError()
  throw new OvertakenError(`job ${stageAttempt.jobId} was overtaken before its load could commit`)
}
