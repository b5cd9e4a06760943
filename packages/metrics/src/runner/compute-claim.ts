import { setTimeout as delay } from 'node:timers/promises'
import { type Database, inTransaction } from '@aduana/db/database'
import { isTransient } from '@aduana/db/sql-errors'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'
import { completeRuns, requeueRuns } from '../runs/runner-events.ts'
import type { Claim, ClaimedRun } from './claim.ts'
import { computeRuns, LostRunsError } from './compute-runs.ts'
import { monitorRuns, type RunMonitor } from './monitor.ts'

export interface RunnerContext {
  db: Database
  pool: pg.Pool
  logger: Logger
  /** Its name in runs and logs. No two claims have the same. */
  runner: string
}

const MAX_TRIES = 3
const BACKOFF_MS = 500
/** So often a computation begins anew because somebody waits for a table that it reads. */
const MAX_YIELDS = 4

/**
 * Do the runs that were claimed: all together; if that fails, in ever smaller parts, until the run that cannot be computed
 * is alone and fails by itself. When the process stops, what is not done is given back.
 */
export async function computeClaim(context: RunnerContext, claim: Claim, signal: AbortSignal): Promise<void> {
  const { db, logger } = context
  for (const { runId, attempt, detail } of claim.unreadable)
    await failRun(context, { runId, attempt }, { code: 'unreadable_definition', detail })
  if (claim.runs.length === 0) return
  const watch = monitorRuns(db, claim.runs, logger)
  try {
    await computeInParts(context, claim.runs, watch, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    await watch.stop()
    await failPoint('metrics.before-requeue')
    const given = await inTransaction(db, (tx) => requeueRuns(tx, claim.runs))
    logger.info({ event: 'metric_runner.requeued', runs: given.length })
    throw error
  } finally {
    await watch.stop()
  }
}

async function computeInParts(
  context: RunnerContext,
  runs: readonly ClaimedRun[],
  watch: RunMonitor,
  signal: AbortSignal,
): Promise<void> {
  const ours = runs.filter(({ runId }) => !watch.lost.has(runId))
  const [first] = ours
  if (!first) return
  signal.throwIfAborted()
  const outcome = await computePart(context, ours, watch, signal)
  if (outcome.kind === 'done') return
  if (outcome.kind === 'lost') return computeInParts(context, without(ours, outcome.runIds), watch, signal)
  const { error } = outcome
  if (ours.length === 1) {
    await failRun(context, first, { code: 'computation_failed', detail: messageOf(error) })
    return watch.ended([first.runId])
  }
  context.logger.warn({ event: 'metric_runner.split', runs: ours.length, err: error })
  const half = Math.ceil(ours.length / 2)
  await computeInParts(context, ours.slice(0, half), watch, signal)
  await computeInParts(context, ours.slice(half), watch, signal)
}

type Outcome =
  | { kind: 'done' }
  | { kind: 'lost'; runIds: readonly string[] }
  /** It fails whenever it is tried. */
  | { kind: 'impossible'; error: unknown }

/** What has kept a computation from its end, so far. */
interface RetryState {
  /** Errors that may not come again. */
  errors: number
  /** How often it has made way. */
  yields: number
}

/** Compute some runs together; what is transient is tried again, and thrown when it stays. */
async function computePart(
  context: RunnerContext,
  runs: readonly ClaimedRun[],
  watch: RunMonitor,
  signal: AbortSignal,
): Promise<Outcome> {
  const runIds = runs.map(({ runId }) => runId)
  const hindrance: RetryState = { errors: 0, yields: 0 }
  for (;;) {
    const [lost, way] = [new AbortController(), new AbortController()]
    watch.guard(runIds, () => lost.abort(new Error('a run was lost')))
    try {
      await computeOnce(context, runs, watch, AbortSignal.any([signal, lost.signal, way.signal]), () => {
        if (hindrance.yields < MAX_YIELDS) way.abort(new Error('somebody waits for a table'))
      })
      watch.ended(runIds)
      return { kind: 'done' }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof LostRunsError) return { kind: 'lost', runIds: error.runIds }
      if (lost.signal.aborted) return { kind: 'lost', runIds: runIds.filter((id) => watch.lost.has(id)) }
      if (!way.signal.aborted && !isTransient(error)) return { kind: 'impossible', error }
      await backOff(context, way.signal.aborted ? undefined : error, hindrance, signal)
    } finally {
      watch.guard([], () => undefined)
    }
  }
}

async function computeOnce(
  context: RunnerContext,
  runs: readonly ClaimedRun[],
  watch: RunMonitor,
  signal: AbortSignal,
  onBlocking: () => void,
): Promise<void> {
  const began = performance.now()
  const onProgress = watch.progress
  const { rows } = await computeRuns(runs, { ...context, signal, onBlocking, onProgress })
  const milliseconds = Math.round(performance.now() - began)
  context.logger.info({ event: 'metric_runner.computed', runs: runs.length, rows, milliseconds })
}

/** Wait before the next try; without an error it was for somebody else. @throws the error that has come too often */
async function backOff(
  { logger }: RunnerContext,
  error: unknown,
  hindrance: RetryState,
  signal: AbortSignal,
): Promise<void> {
  if (error === undefined) {
    hindrance.yields += 1
    logger.info({ event: 'metric_runner.yielded', times: hindrance.yields })
    return delay(BACKOFF_MS * 2 ** hindrance.yields, undefined, { signal })
  }
  hindrance.errors += 1
  if (hindrance.errors === MAX_TRIES) throw error
  logger.warn({ event: 'metric_runner.retrying', times: hindrance.errors, err: error })
  return delay(BACKOFF_MS * 2 ** hindrance.errors, undefined, { signal })
}

async function failRun(
  { db, logger }: RunnerContext,
  { runId, attempt }: { runId: string; attempt: number },
  error: { code: string; detail: string },
): Promise<void> {
  const at = new Date().toISOString()
  const event = { runId, attempt, at, status: 'failed', error } as const
  const [outcome] = await inTransaction(db, (tx) => completeRuns(tx, [event]))
  logger.error({ event: 'metric_runner.failed', runId, attempt, outcome, ...error })
}

function without(runs: readonly ClaimedRun[], gone: readonly string[]): ClaimedRun[] {
  const ids = new Set(gone)
  return runs.filter(({ runId }) => !ids.has(runId))
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 4000)
}
