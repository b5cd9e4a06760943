import { randomUUID } from 'node:crypto'
import type { Tx } from '@aduana/db/database'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { forgetBackend, holdFence, recordBackend } from '@aduana/jobs/leases'
import { commitStage, OvertakenError } from '@aduana/jobs/stage-log'
import { changeJob } from '@aduana/jobs/transitions'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import type pg from 'pg'
import { CancelledError } from '../cancelled.ts'
import type { StageJob } from '../stage.ts'
import type { LoadOutput } from '../stage-outputs.ts'
import { interruptible } from './interruptible.ts'
import type { Publishing } from './publishing.ts'
import { recordUpdate } from './record-update.ts'
import { type Written, writeRows } from './write-rows.ts'

/**
 * Publish the rows in one transaction. It begins by locking the job's lock rows, if the lease is still ours, and ends
 * with the guarded change of the job's row: a run that was overtaken or cancelled in between rolls everything back.
 * @throws OvertakenError, CancelledError
 */
export async function publish(job: StageJob, publishing: Publishing): Promise<void> {
  const { context, facts, run } = job
  await failPoint('load.before-transaction', String(facts.importNo))
  try {
    await inTransactionOnConnection(context.pool, (tx, client) => transact(job, publishing, tx, client))
  } finally {
    // The connection goes back to the pool: a successor must not end what it does next.
    await forgetBackend(context.db, publishing.lease).catch((error: unknown) =>
      context.logger.warn({ event: 'load.backend_not_forgotten', jobId: run.jobId, err: error }),
    )
  }
  await failPoint('load.after-commit', String(facts.importNo))
}

async function transact(job: StageJob, publishing: Publishing, tx: Tx, client: pg.PoolClient): Promise<void> {
  await boundWaits(tx)
  await recordBackend(job.context.db, publishing.lease, await backendPid(tx))
  if (!(await holdFence(tx, publishing.lease)))
    throw new OvertakenError(`the lease of job ${job.run.jobId} is gone`)
  const written = await interruptible(job, client, () => writeRows(job, client, publishing))
  const updateId = randomUUID()
  await recordUpdate(tx, job, publishing, { updateId, rows: written.inserted + written.updated })
  await failPoint('load.before-commit', String(job.facts.importNo))
  await finish(tx, job, publishing, written, updateId)
}

/** No statement of a load may hang for ever behind somebody else's lock; its indexes are built in memory. */
async function boundWaits(tx: Tx): Promise<void> {
  await sql`select set_config('lock_timeout', '15s', true), set_config('statement_timeout', '2h', true),
    set_config('transaction_timeout', '3h', true), set_config('idle_in_transaction_session_timeout', '10min', true),
    set_config('maintenance_work_mem', '256MB', true)`.execute(tx)
}

async function backendPid(tx: Tx): Promise<number> {
  const row = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
  const pid = row.rows[0]?.pid
  if (pid === undefined) throw new Error('the connection has no backend')
  return pid
}

async function finish(
  tx: Tx,
  job: StageJob,
  { validated }: Publishing,
  written: Written,
  updateId: string,
): Promise<void> {
  const { run } = job
  const loaded = written.inserted + written.updated
  const output: LoadOutput = { loaded, ...written, updateId }
  await commitStage(tx, run, output)
  const version = await changeJob(
    tx,
    { jobId: run.jobId, attempt: run.attempt, from: ['PROCESSING'], unlessCancelled: true },
    {
      loaded,
      inserted: written.inserted,
      updated: written.updated,
      unchanged: written.unchanged,
      removed: written.removed,
      quarantined: validated.rejected,
      duplicates: validated.duplicates,
      loaded_at: sql<Date>`clock_timestamp()`,
      message: 'Loaded',
    },
  )
  if (version !== undefined) return
  const asked = await tx
    .selectFrom('jobs')
    .select('cancel_requested_at')
    .where('id', '=', run.jobId)
    .where('attempt', '=', run.attempt)
    .executeTakeFirst()
  if (asked?.cancel_requested_at != null) throw new CancelledError()
  throw new OvertakenError(`job ${run.jobId} was overtaken before its load could commit`)
}
