import { setTimeout as delay } from 'node:timers/promises'
import { type Database, inTransaction } from '@aduana/db/database'
import { isTransient } from '@aduana/db/sql-errors'
import { backoff } from '@aduana/runtime/backoff'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'
import { completeRuns, requeueRuns } from '../runs/runner-events.ts'
import type { Claim, ClaimedRun } from './claim.ts'
import { computeRuns, LostRunsError } from './compute-runs.ts'
import { monitorRuns, type RunMonitor } from './monitor.ts'

/** What a runner needs. */
export interface RunnerContext {
  db: Database
  pool: pg.Pool
  logger: Logger
  /** Its name in runs and logs, unique per claim. */
  runner: string
}

const MAX_TRIES = 3
const BACKOFF_MS = { first: 1000, longest: 8000 }
/** How often a computation restarts to let another transaction lock a table that it reads. */
const MAX_YIELDS = 4

/**
 * Computes the claimed runs together. If that fails, it halves them until the run that cannot be computed is alone
 * and fails. When the process stops, runs that are not completed are requeued.
 */
export async function computeClaim(context: RunnerContext, claim: Claim, signal: AbortSignal): Promise<void> {
  const { db, logger } = context
  for (const { runId, attempt, detail } of claim.unreadable)
    await failRun(context, { runId, attempt }, { code: 'unreadable_definition', detail })
  if (claim.runs.length === 0) return
  const monitor = monitorRuns(db, claim.runs, logger)
  try {
    await computeInParts(context, claim.runs, monitor, signal)
  } catch (error) {
    if (!signal.aborted) throw error
    await monitor.stop()
    await failPoint('metrics.before-requeue')
    const requeued = await inTransaction(db, (tx) => requeueRuns(tx, claim.runs))
    logger.info({ event: 'metric_runner.requeued', runs: requeued.length })
    throw error
  } finally {
    await monitor.stop()
  }
}

async function computeInParts(
  context: RunnerContext,
  runs: readonly ClaimedRun[],
  monitor: RunMonitor,
  signal: AbortSignal,
): Promise<void> {
  const open = runs.filter(({ runId }) => !monitor.lost.has(runId))
  const [first] = open
  if (!first) return
  signal.throwIfAborted()
  const outcome = await computePart(context, open, monitor, signal)
  if (outcome.kind === 'done') return
  if (outcome.kind === 'lost') return computeInParts(context, without(open, outcome.runIds), monitor, signal)
  const { error } = outcome
  if (open.length === 1) {
    await failRun(context, first, { code: 'computation_failed', detail: messageOf(error) })
    return monitor.ended([first.runId])
  }
  context.logger.warn({ event: 'metric_runner.split', runs: open.length, err: error })
  const half = Math.ceil(open.length / 2)
  await computeInParts(context, open.slice(0, half), monitor, signal)
  await computeInParts(context, open.slice(half), monitor, signal)
}

type Outcome =
  | { kind: 'done' }
  | { kind: 'lost'; runIds: readonly string[] }
  /** A permanent failure. */
  | { kind: 'failed'; error: unknown }

/** Why a computation has been retried so far. */
interface RetryState {
  /** Transient errors. */
  errors: number
  /** How often it has yielded to another transaction. */
  yields: number
}

/** Computes runs together. Retries transient errors, and throws one that persists. */
async function computePart(
  context: RunnerContext,
  runs: readonly ClaimedRun[],
  monitor: RunMonitor,
  signal: AbortSignal,
): Promise<Outcome> {
  const runIds = runs.map(({ runId }) => runId)
  const retries: RetryState = { errors: 0, yields: 0 }
  for (;;) {
    const [lost, yielding] = [new AbortController(), new AbortController()]
    monitor.guard(runIds, () => lost.abort(new Error('a run was lost')))
    try {
      await computeOnce(
        context,
        runs,
        monitor,
        AbortSignal.any([signal, lost.signal, yielding.signal]),
        () => {
          if (retries.yields < MAX_YIELDS) yielding.abort(new Error('another transaction waits for a table'))
        },
      )
      monitor.ended(runIds)
      return { kind: 'done' }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof LostRunsError) return { kind: 'lost', runIds: error.runIds }
      if (lost.signal.aborted) return { kind: 'lost', runIds: runIds.filter((id) => monitor.lost.has(id)) }
      if (!yielding.signal.aborted && !isTransient(error)) return { kind: 'failed', error }
      await backOff(context, yielding.signal.aborted ? undefined : error, retries, signal)
    } finally {
      monitor.guard([], () => undefined)
    }
  }
}

async function computeOnce(
  context: RunnerContext,
  runs: readonly ClaimedRun[],
  monitor: RunMonitor,
  signal: AbortSignal,
  onBlocking: () => void,
): Promise<void> {
  const startedAt = performance.now()
  const onProgress = monitor.progress
  const { rows } = await computeRuns(runs, { ...context, signal, onBlocking, onProgress })
  const milliseconds = Math.round(performance.now() - startedAt)
  context.logger.info({ event: 'metric_runner.computed', runs: runs.length, rows, milliseconds })
}

/**
 * Waits before the next attempt. Without an error, the computation yielded. @throws the error when it has occurred
 * too often
 */
async function backOff(
  { logger }: RunnerContext,
  error: unknown,
  retries: RetryState,
  signal: AbortSignal,
): Promise<void> {
  if (error === undefined) {
    retries.yields += 1
    logger.info({ event: 'metric_runner.yielded', times: retries.yields })
    return delay(backoff(retries.yields, BACKOFF_MS), undefined, { signal })
  }
  retries.errors += 1
  if (retries.errors === MAX_TRIES) throw error
  logger.warn({ event: 'metric_runner.retrying', times: retries.errors, err: error })
  return delay(backoff(retries.errors, BACKOFF_MS), undefined, { signal })
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
