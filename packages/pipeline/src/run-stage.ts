import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { STAGES, type StagePayload, stageIndex } from '@aduana/contracts/stages'
import { isTransient } from '@aduana/db/sql-errors'
import { createProgressReporter } from '@aduana/jobs/stage-attempts/progress'
import {
  beginStage,
  CANCELLED,
  type StageAttempt,
  type StageStart,
} from '@aduana/jobs/stage-attempts/stage-attempts'
import type { StageOutcome } from '@aduana/queue/outcome'
import type { Delivery } from '@aduana/queue/stage-workers'
import { failPoint } from '@aduana/runtime/fail-points'
import type { PipelineContext } from './context.ts'
import { endAfterError, endRun } from './end-run.ts'
import { readImportFacts } from './import-facts.ts'
import type { Stage } from './stage.ts'
import { watchRun } from './watch-run.ts'

/**
 * Runs one attempt at a stage of a job, guarded by PostgreSQL: begins it, does the work under a heartbeat, and commits.
 * However often the message is delivered, and wherever the worker dies, the effects happen once.
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
      if (started.reason === CANCELLED)
        context.logger.info({ event: 'job.cancelled', stage: stage.name, ...payload })
      return { kind: 'stop', reason: started.reason }
    case 'already-done':
      return { kind: 'done' }
    case 'busy':
      return { kind: 'snooze', milliseconds: 1000, reason: 'another process executes the stage' }
    case 'away':
      return { kind: 'snooze', milliseconds: 1000, reason: 'PostgreSQL is unavailable' }
    case 'run':
      return work(context, stage, started.run, delivery)
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
  run: StageAttempt,
  delivery: Delivery,
): Promise<StageOutcome> {
  const began = performance.now()
  const folder = join(context.workFolder, `${run.jobId}-${run.stage}-${run.attempt}.${run.try}`)
  const facts = await readImportFacts(context.db, run.jobId)
  const reporter = createProgressReporter({
    run,
    reached: facts.progress.progress,
    jobStartedAt: facts.startedAt,
    title: STAGES[stageIndex(run.stage)]?.title ?? run.stage,
  })
  const watch = watchRun(context, run, reporter, delivery.signal)
  try {
    await mkdir(folder, { recursive: true })
    context.publisher.publish(facts.progress)
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
    const outcome = await endRun(context, run, facts.importNo, result)
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
    return await endAfterError(context, run, error, delivery, watch.reason())
  } finally {
    watch.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
