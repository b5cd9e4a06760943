import type { JobFailure } from '@aduana/contracts/failures'
import { StageName } from '@aduana/contracts/stages'
import { inTransaction } from '@aduana/db/database'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { tryCancelJob, tryFailJob } from '@aduana/jobs/lifecycle/finish'
import { reopenStages } from '@aduana/jobs/lifecycle/reopen'
import { lockOpenJob, OvertakenError } from '@aduana/jobs/lifecycle/transitions'
import {
  commitStage,
  deleteAttempt,
  type StageAttempt,
  tryCloseAttempt,
} from '@aduana/jobs/stage-attempts/stage-attempts'
import { markBackend } from '@aduana/jobs/stage-attempts/stale-backends'
import type { StageOutcome } from '@aduana/queue/outcome'
import type { Delivery } from '@aduana/queue/stage-workers'
import { failPoint } from '@aduana/runtime/fail-points'
import { CancelledError } from './cancelled.ts'
import type { PipelineContext } from './context.ts'
import { readFailure } from './failure.ts'
import { LostFileError } from './lost-file.ts'
import type { StageResult } from './stage.ts'

type EndingContext = Pick<PipelineContext, 'db' | 'pool' | 'logger'>

/**
 * Ends a stage attempt as its work requires: commits it, fails the job, or reverts the attempt. Does nothing if the
 * attempt has been overtaken.
 * @throws OvertakenError, or the error of the commit, after the transaction has rolled back
 */
export async function endRun(
  context: EndingContext,
  run: StageAttempt,
  importNo: number,
  result: StageResult,
): Promise<StageOutcome> {
  const place = `${run.stage}/${importNo}`
  switch (result.kind) {
    case 'done':
      await inTransactionOnConnection(context.pool, async (tx, client) => {
        await markBackend(tx, run.jobId)
        await commitStage(tx, run, await result.commit(tx, client))
        await failPoint('stage.before-commit', place)
      })
      await failPoint('stage.after-commit', place)
      return { kind: 'done' }
    case 'committed':
      return { kind: 'done' }
    case 'fail':
      return fail(context, run, result.failure, result.keep)
    case 'snooze':
      await inTransaction(context.db, (tx) => deleteAttempt(tx, run))
      return { kind: 'snooze', milliseconds: result.milliseconds, reason: result.reason }
    case 'park':
      return { kind: 'stop', reason: result.reason }
  }
}

async function fail(
  context: EndingContext,
  run: StageAttempt,
  failure: JobFailure,
  keep?: Extract<StageResult, { kind: 'fail' }>['keep'],
): Promise<StageOutcome> {
  const located = { ...failure, stage: run.stage }
  const failed = await inTransactionOnConnection(context.pool, async (tx, client) => {
    await markBackend(tx, run.jobId)
    if (!(await lockOpenJob(tx, run.jobId))) return false
    // An attempt that is no longer open may have committed, with the reply lost. Then there is nothing to fail.
    if (!(await tryCloseAttempt(tx, run, 'failed', located))) return false
    await keep?.(tx, client)
    await failPoint('stage.before-fail', run.stage)
    return tryFailJob(tx, { jobId: run.jobId, attempt: run.attempt }, located)
  })
  await failPoint('stage.after-fail', run.stage)
  if (!failed) return { kind: 'stop', reason: 'overtaken' }
  context.logger.warn({ event: 'job.failed', jobId: run.jobId, stage: run.stage, code: failure.code })
  return { kind: 'fail', failure: located }
}

/**
 * Ends a stage attempt whose work threw. The error and the delivery decide whether it is cancelled, released, retried
 * or failed.
 */
export async function endAfterError(
  context: EndingContext,
  run: StageAttempt,
  error: unknown,
  delivery: Delivery,
  stopped: string | undefined,
): Promise<StageOutcome> {
  const { db, logger } = context
  const place = { jobId: run.jobId, stage: run.stage, attempt: run.attempt, try: run.try }
  if (error instanceof OvertakenError || stopped === 'overtaken') {
    // The attempt ends at once, so its successor need not wait for the heartbeat timeout, and no loss is counted.
    const closed = await inTransaction(db, (tx) => tryCloseAttempt(tx, run, 'released', null))
    logger.warn({ event: 'stage.fenced_out', ...place, closed })
    return { kind: 'stop', reason: 'overtaken' }
  }
  if (stopped === 'cancel' || error instanceof CancelledError) {
    await failPoint('stage.before-cancel', run.stage)
    const cancelled = await inTransaction(db, (tx) => tryCancelJob(tx, run))
    if (!cancelled) return { kind: 'stop', reason: 'overtaken' }
    logger.info({ event: 'job.cancelled', ...place })
    return { kind: 'stop', reason: 'cancelled' }
  }
  if (delivery.signal.aborted) {
    // The error comes from the shutdown of the process. The work is released without using up a try.
    const closed = await inTransaction(db, (tx) => tryCloseAttempt(tx, run, 'released', null))
    logger.info({ event: 'stage.given_back', ...place, closed })
    return { kind: 'retry', error: asError(error) }
  }
  const failure = readFailure(error, run.stage)
  logger.warn({
    event: 'stage.error',
    ...place,
    transient: failure.transient,
    code: failure.failure.code,
    err: error,
  })
  const madeBy = error instanceof LostFileError ? StageName.safeParse(error.madeBy) : undefined
  if (madeBy?.success)
    return fail(context, run, failure.failure, (tx) => reopenStages(tx, run.jobId, madeBy.data))
  if (!failure.transient || delivery.lastTry) return fail(context, run, failure.failure)
  const closed = await inTransaction(db, (tx) => tryCloseAttempt(tx, run, 'failed', failure.failure))
  return closed ? { kind: 'retry', error: asError(error) } : { kind: 'stop', reason: 'overtaken' }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
