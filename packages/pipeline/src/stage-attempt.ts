import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { STAGES, StageName, type StagePayload, stageIndex } from '@aduana/contracts/stages'
import { inTransaction } from '@aduana/db/database'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { isTransient } from '@aduana/db/sql-errors'
import { tryCancelJob, tryFailJob } from '@aduana/jobs/lifecycle/finish'
import { reopenStages } from '@aduana/jobs/lifecycle/reopen'
import { lockOpenJob, OvertakenError } from '@aduana/jobs/lifecycle/transitions'
import { recordHeartbeat } from '@aduana/jobs/stage-attempts/heartbeat'
import { createProgressReporter, type ProgressReporter } from '@aduana/jobs/stage-attempts/progress'
import {
  beginStage,
  CANCELLED,
  commitStage,
  deleteAttempt,
  type StageAttempt,
  type StageStart,
  tryCloseAttempt,
} from '@aduana/jobs/stage-attempts/stage-attempts'
import { markBackend } from '@aduana/jobs/stage-attempts/stale-backends'
import type { StageOutcome } from '@aduana/queue/outcome'
import type { Delivery } from '@aduana/queue/stage-workers'
import { failPoint } from '@aduana/runtime/fail-points'
import { CancelledError, LostFileError, readFailure } from './failure.ts'
import { type PipelineContext, readImportFacts, type Stage, type StageResult } from './stage.ts'

/**
 * Executes one attempt at a stage of a job, guarded by PostgreSQL: begins it, does the work under a heartbeat, and commits.
 * However often the message is delivered, and wherever the worker dies, the effects happen once.
 */
export async function executeStage(
  context: PipelineContext,
  stage: Stage,
  payload: StagePayload,
  delivery: Delivery,
): Promise<StageOutcome> {
  const started = await begin(context, stage, payload)
  switch (started.kind) {
    case 'stop':
      context.logger.info({ event: 'stage.not_due', stage: stage.name, ...payload, reason: started.reason })
      if (started.reason === CANCELLED)
        context.logger.info({ event: 'job.cancelled', stage: stage.name, ...payload })
      return { kind: 'stop', reason: started.reason }
    case 'already-done':
      return { kind: 'done' }
    case 'busy':
      return { kind: 'snooze', milliseconds: 1000, reason: 'another process executes the stage' }
    case 'away':
      return { kind: 'snooze', milliseconds: 1000, reason: 'PostgreSQL is unavailable' }
    case 'begun':
      return work(context, stage, started.stageAttempt, delivery)
  }
}

/** Begins the stage attempt. While PostgreSQL is unavailable nothing begins and no try is used up. */
async function begin(
  { db, logger, worker }: PipelineContext,
  stage: Stage,
  payload: StagePayload,
): Promise<StageStart | { kind: 'away' }> {
  try {
    return await beginStage(db, payload, stage.name, worker)
  } catch (error) {
    if (!isTransient(error)) throw error
    logger.warn({ event: 'stage.not_begun', stage: stage.name, ...payload, err: error })
    return { kind: 'away' }
  }
}

async function work(
  context: PipelineContext,
  stage: Stage,
  stageAttempt: StageAttempt,
  delivery: Delivery,
): Promise<StageOutcome> {
  const began = performance.now()
  const folder = join(
    context.workFolder,
    `${stageAttempt.jobId}-${stageAttempt.stage}-${stageAttempt.attempt}.${stageAttempt.try}`,
  )
  const facts = await readImportFacts(context.db, stageAttempt.jobId)
  const reporter = createProgressReporter({
    stageAttempt,
    reached: facts.progress.progress,
    jobStartedAt: facts.startedAt,
    title: STAGES[stageIndex(stageAttempt.stage)]?.title ?? stageAttempt.stage,
  })
  const watch = watchAttempt(context, stageAttempt, reporter, delivery.signal)
  try {
    await mkdir(folder, { recursive: true })
    context.publisher.publish(facts.progress)
    await failPoint('stage.before-work', `${stageAttempt.stage}/${facts.importNo}`)
    const result = await stage.work({
      context,
      stageAttempt,
      facts,
      folder,
      signal: watch.signal,
      report: reporter.report,
    })
    watch.stop()
    const outcome = await endAttempt(context, stageAttempt, facts.importNo, result)
    context.logger.info({
      event: 'stage.ended',
      jobId: stageAttempt.jobId,
      stage: stageAttempt.stage,
      attempt: stageAttempt.attempt,
      outcome: outcome.kind,
      milliseconds: Math.round(performance.now() - began),
    })
    return outcome
  } catch (error) {
    watch.stop()
    return await endAfterError(context, stageAttempt, error, delivery, watch.reason())
  } finally {
    watch.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Why a stage attempt was stopped from outside. */
export type StopReason = 'cancel' | 'overtaken' | 'process ends'

export interface AttemptWatch {
  /** Aborted when the stage attempt must stop. */
  signal: AbortSignal
  reason(): StopReason | undefined
  stop(): void
}

const HEARTBEAT_MS = 1000
/** Interval at which new progress is stored and published. */
const PROGRESS_MS = 250

/**
 * Watches a stage attempt: at least once a second it writes a heartbeat, stores and publishes the progress, and stops
 * the attempt if a user has requested cancellation or another attempt has taken its place. Progress is stored before it
 * is published, so that the database is never behind a message. An unavailable database does not stop the attempt; its
 * commit decides.
 */
export function watchAttempt(
  { db, publisher, logger }: Pick<PipelineContext, 'db' | 'publisher' | 'logger'>,
  stageAttempt: StageAttempt,
  reporter: ProgressReporter,
  outer: AbortSignal,
): AttemptWatch {
  const controller = new AbortController()
  let reason: StopReason | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const abort = (why: StopReason) => {
    if (controller.signal.aborted) return
    reason = why
    controller.abort(new Error(why))
  }
  const onOuter = () => abort('process ends')
  if (outer.aborted) onOuter()
  outer.addEventListener('abort', onOuter)

  let stored = reporter.figures()
  let beatAt = performance.now()
  const isDue = () => reporter.figures() !== stored || performance.now() - beatAt >= HEARTBEAT_MS
  const store = async () => {
    const figures = reporter.figures()
    const { answer, progress } = await recordHeartbeat(db, stageAttempt, figures)
    stored = figures
    beatAt = performance.now()
    if (stopped) return
    if (progress) publisher.publish(progress)
    if (answer !== 'go') abort(answer)
  }
  const look = async () => {
    let next = PROGRESS_MS
    try {
      if (isDue()) await store()
    } catch (error) {
      logger.warn({
        event: 'stage.heartbeat_failed',
        jobId: stageAttempt.jobId,
        stage: stageAttempt.stage,
        err: error,
      })
      next = HEARTBEAT_MS
    }
    if (!stopped) timer = setTimeout(() => void look(), next)
  }
  timer = setTimeout(() => void look(), PROGRESS_MS)

  return {
    signal: controller.signal,
    reason: () => reason,
    stop: () => {
      stopped = true
      clearTimeout(timer)
      outer.removeEventListener('abort', onOuter)
    },
  }
}

type EndingContext = Pick<PipelineContext, 'db' | 'pool' | 'logger'>

/**
 * Ends a stage attempt as its work requires: commits it, fails the job, or reverts the attempt. Does nothing if the
 * attempt has been overtaken.
 * @throws OvertakenError, or the error of the commit, after the transaction has rolled back
 */
export async function endAttempt(
  context: EndingContext,
  stageAttempt: StageAttempt,
  importNo: number,
  result: StageResult,
): Promise<StageOutcome> {
  const place = `${stageAttempt.stage}/${importNo}`
  switch (result.kind) {
    case 'done':
      await inTransactionOnConnection(context.pool, async (tx, client) => {
        await markBackend(tx, stageAttempt.jobId)
        await commitStage(tx, stageAttempt, await result.commit(tx, client))
        await failPoint('stage.before-commit', place)
      })
      await failPoint('stage.after-commit', place)
      return { kind: 'done' }
    case 'committed':
      return { kind: 'done' }
    case 'fail':
      return fail(context, stageAttempt, result.failure, result.keep)
    case 'snooze':
      await inTransaction(context.db, (tx) => deleteAttempt(tx, stageAttempt))
      return { kind: 'snooze', milliseconds: result.milliseconds, reason: result.reason }
    case 'park':
      return { kind: 'stop', reason: result.reason }
  }
}

async function fail(
  context: EndingContext,
  stageAttempt: StageAttempt,
  failure: JobFailure,
  keep?: Extract<StageResult, { kind: 'fail' }>['keep'],
): Promise<StageOutcome> {
  const located = { ...failure, stage: stageAttempt.stage }
  const failed = await inTransactionOnConnection(context.pool, async (tx, client) => {
    await markBackend(tx, stageAttempt.jobId)
    if (!(await lockOpenJob(tx, stageAttempt.jobId))) return false
    // An attempt that is no longer open may have committed, with the reply lost. Then there is nothing to fail.
    if (!(await tryCloseAttempt(tx, stageAttempt, 'failed', located))) return false
    await keep?.(tx, client)
    await failPoint('stage.before-fail', stageAttempt.stage)
    return tryFailJob(tx, { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt }, located)
  })
  await failPoint('stage.after-fail', stageAttempt.stage)
  if (!failed) return { kind: 'stop', reason: 'overtaken' }
  context.logger.warn({
    event: 'job.failed',
    jobId: stageAttempt.jobId,
    stage: stageAttempt.stage,
    code: failure.code,
  })
  return { kind: 'fail', failure: located }
}

/**
 * Ends a stage attempt whose work threw. The error and the delivery decide whether it is cancelled, released, retried
 * or failed.
 */
export async function endAfterError(
  context: EndingContext,
  stageAttempt: StageAttempt,
  error: unknown,
  delivery: Delivery,
  stopped: string | undefined,
): Promise<StageOutcome> {
  const { db, logger } = context
  const place = {
    jobId: stageAttempt.jobId,
    stage: stageAttempt.stage,
    attempt: stageAttempt.attempt,
    try: stageAttempt.try,
  }
  if (error instanceof OvertakenError || stopped === 'overtaken') {
    // The attempt ends at once, so its successor need not wait for the heartbeat timeout, and no loss is counted.
    const closed = await inTransaction(db, (tx) => tryCloseAttempt(tx, stageAttempt, 'released', null))
    logger.warn({ event: 'stage.fenced_out', ...place, closed })
    return { kind: 'stop', reason: 'overtaken' }
  }
  if (stopped === 'cancel' || error instanceof CancelledError) {
    await failPoint('stage.before-cancel', stageAttempt.stage)
    const cancelled = await inTransaction(db, (tx) => tryCancelJob(tx, stageAttempt))
    if (!cancelled) return { kind: 'stop', reason: 'overtaken' }
    logger.info({ event: 'job.cancelled', ...place })
    return { kind: 'stop', reason: 'cancelled' }
  }
  if (delivery.signal.aborted) {
    // The error comes from the shutdown of the process. The work is released without using up a try.
    const closed = await inTransaction(db, (tx) => tryCloseAttempt(tx, stageAttempt, 'released', null))
    logger.info({ event: 'stage.released', ...place, closed })
    return { kind: 'retry', error: asError(error) }
  }
  const failure = readFailure(error, stageAttempt.stage)
  logger.warn({
    event: 'stage.error',
    ...place,
    transient: failure.transient,
    code: failure.failure.code,
    err: error,
  })
  const madeBy = error instanceof LostFileError ? StageName.safeParse(error.madeBy) : undefined
  if (madeBy?.success)
    return fail(context, stageAttempt, failure.failure, (tx) =>
      reopenStages(tx, stageAttempt.jobId, madeBy.data),
    )
  if (!failure.transient || delivery.lastTry) return fail(context, stageAttempt, failure.failure)
  const closed = await inTransaction(db, (tx) => tryCloseAttempt(tx, stageAttempt, 'failed', failure.failure))
  return closed ? { kind: 'retry', error: asError(error) } : { kind: 'stop', reason: 'overtaken' }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
