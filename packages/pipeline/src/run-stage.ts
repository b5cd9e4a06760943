import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobFailure } from '@aduana/contracts/failures'
import { STAGES, StageName, type StagePayload, stageIndex } from '@aduana/contracts/stages'
import { inTransaction } from '@aduana/db/database'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { isTransient } from '@aduana/db/sql-errors'
import { markWork } from '@aduana/jobs/evict'
import { tryCancelJob, tryFailJob } from '@aduana/jobs/finish'
import { createProgressReporter } from '@aduana/jobs/progress'
import { reopenStages } from '@aduana/jobs/reopen'
import {
  beginStage,
  commitStage,
  forgetRun,
  type StageRun,
  type StageStart,
  tryCloseRun,
} from '@aduana/jobs/stage-log'
import { OvertakenError } from '@aduana/jobs/transitions'
import type { StageOutcome } from '@aduana/queue/outcome'
import type { Delivery } from '@aduana/queue/stage-workers'
import { failPoint } from '@aduana/runtime/fail-points'
import { CancelledError } from './cancelled.ts'
import type { PipelineContext } from './context.ts'
import { readFailure } from './failure.ts'
import { type ImportFacts, readImportFacts } from './import-facts.ts'
import { LostFileError } from './lost-file.ts'
import type { Stage, StageResult } from './stage.ts'
import { watchRun } from './watch-run.ts'

/**
 * Run a stage of a job as PostgreSQL allows it: begin (guarded), work while a heartbeat goes on, commit (guarded).
 * However often it is delivered, and wherever it dies, its effects happen once.
 */
export async function runStage(
  context: PipelineContext,
  stage: Stage,
  payload: StagePayload,
  delivery: Delivery,
): Promise<StageOutcome> {
  const started = await begin(context, stage, payload)
  switch (started.kind) {
    case 'stop':
      context.logger.info({ event: 'stage.not_due', stage: stage.name, ...payload, reason: started.reason })
      return { kind: 'stop', reason: started.reason }
    case 'already-done':
      return { kind: 'done' }
    case 'busy':
      return { kind: 'snooze', milliseconds: 1000, reason: 'another process is at work' }
    case 'away':
      return { kind: 'snooze', milliseconds: 1000, reason: 'PostgreSQL does not answer' }
    case 'run':
      return work(context, stage, started.run, delivery)
  }
}

/** While PostgreSQL is away nothing begins, and no try is spent. */
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
  run: StageRun,
  delivery: Delivery,
): Promise<StageOutcome> {
  const began = performance.now()
  const folder = join(context.workFolder, `${run.jobId}-${run.stage}-${run.attempt}.${run.try}`)
  const facts = await readImportFacts(context.db, run.jobId)
  const reporter = createProgressReporter({
    run,
    userId: facts.userId,
    publisher: context.publisher,
    jobStartedAt: facts.startedAt,
    title: STAGES[stageIndex(run.stage)]?.title ?? run.stage,
  })
  const watch = watchRun(context.db, run, reporter, delivery.signal, context.logger)
  try {
    await mkdir(folder, { recursive: true })
    reporter.report({ fraction: 0 })
    await failPoint('stage.before-work', `${run.stage}/${facts.importNo}`)
    const result = await stage.work({
      context,
      run,
      facts,
      folder,
      signal: watch.signal,
      report: reporter.report,
    })
    watch.stop()
    const outcome = await settle(context, run, facts, result)
    context.logger.info({
      event: 'stage.ended',
      jobId: run.jobId,
      stage: run.stage,
      attempt: run.attempt,
      outcome: outcome.kind,
      milliseconds: Math.round(performance.now() - began),
    })
    return outcome
  } catch (error) {
    watch.stop()
    return await afterError(context, run, error, delivery, watch.reason())
  } finally {
    watch.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function settle(
  context: PipelineContext,
  run: StageRun,
  facts: ImportFacts,
  result: StageResult,
): Promise<StageOutcome> {
  const place = `${run.stage}/${facts.importNo}`
  switch (result.kind) {
    case 'done':
      await inTransactionOnConnection(context.pool, async (tx, client) => {
        await markWork(tx, run.jobId)
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
      await inTransaction(context.db, (tx) => forgetRun(tx, run))
      return { kind: 'snooze', milliseconds: result.milliseconds, reason: result.reason }
    case 'park':
      return { kind: 'stop', reason: result.reason }
  }
}

async function fail(
  context: PipelineContext,
  run: StageRun,
  failure: JobFailure,
  keep?: Extract<StageResult, { kind: 'fail' }>['keep'],
): Promise<StageOutcome> {
  const located = { ...failure, stage: run.stage }
  const failed = await inTransactionOnConnection(context.pool, async (tx, client) => {
    await markWork(tx, run.jobId)
    // A run that is no longer open may have committed, with the reply lost: then there is nothing to fail.
    if (!(await tryCloseRun(tx, run, 'failed', located))) return false
    await keep?.(tx, client)
    await failPoint('stage.before-fail', run.stage)
    return tryFailJob(tx, { jobId: run.jobId, attempt: run.attempt }, located)
  })
  await failPoint('stage.after-fail', run.stage)
  if (!failed) return { kind: 'stop', reason: 'overtaken' }
  context.logger.warn({ event: 'job.failed', jobId: run.jobId, stage: run.stage, code: failure.code })
  return { kind: 'fail', failure: located }
}

async function afterError(
  context: PipelineContext,
  run: StageRun,
  error: unknown,
  delivery: Delivery,
  stopped: string | undefined,
): Promise<StageOutcome> {
  const { db, logger } = context
  const place = { jobId: run.jobId, stage: run.stage, attempt: run.attempt, try: run.try }
  if (error instanceof OvertakenError || stopped === 'overtaken') {
    // The run ends here, at once: its successor need not wait until it counts as dead, and counts no death.
    const closed = await inTransaction(db, (tx) => tryCloseRun(tx, run, 'lost', null))
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
    // The process stops: whatever broke, broke because of that. The work is given back and no try is spent.
    const closed = await inTransaction(db, (tx) => tryCloseRun(tx, run, 'lost', null))
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
  const closed = await inTransaction(db, (tx) => tryCloseRun(tx, run, 'failed', failure.failure))
  return closed ? { kind: 'retry', error: asError(error) } : { kind: 'stop', reason: 'overtaken' }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
