import type {
  MetricRunCompleted,
  MetricRunHeartbeat,
  MetricRunStarted,
} from '@aduana/contracts/metrics/events'
import { ENDED_RUNS, type RunEventOutcome } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import { sql } from 'kysely'
import { type Announcement, hasResultFiles, importResults } from '../results/announce.ts'
import { endRuns, type RunEnding } from './end.ts'
import { logEvents, runFacts } from './event-log.ts'
import { type LockedRun, lockRuns, lockWithDependents, metricIdsOf } from './locks.ts'
import { changeRuns, type RunValues, tryChangeRuns } from './transitions.ts'

/** SQL: the time that a runner reports, but not later than now. */
const STARTED_AT = sql<Date>`least(own.at, clock_timestamp())`

/**
 * Applies `started` events: REQUESTED runs become RUNNING, and later changes are for the next run. For a run whose
 * heartbeat came first, this sets the runner. Returns the outcome of each event, in their order.
 * @throws RunEventError for an unknown run or attempt
 */
export async function startRuns(tx: Tx, events: readonly MetricRunStarted[]): Promise<RunEventOutcome[]> {
  const runs = await lockRuns(tx, events)
  const begin = new Map<string, MetricRunStarted>()
  const outcomes = events.map((event): RunEventOutcome => {
    const run = resolveRun(runs, event)
    if (typeof run === 'string') return run
    if (run.status === 'TIMED_OUT') return 'overtaken'
    const known = run.status !== 'REQUESTED' && run.runner !== null
    if (known || begin.has(run.id)) return 'duplicate'
    begin.set(run.id, event)
    return 'applied'
  })
  await write(tx, [...begin.values()])
  return outcomes
}

/** Applies one `started` event. See `startRuns`. */
export async function startRun(tx: Tx, event: MetricRunStarted): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await startRuns(tx, [event])
  return outcome
}

async function write(tx: Tx, events: readonly MetricRunStarted[]): Promise<void> {
  if (events.length === 0) return
  const own = events.map(({ runId, attempt, at, runner }) => ({
    id: runId,
    attempt,
    at: new Date(at),
    runner,
  }))
  await changeRuns(tx, own, ['REQUESTED', 'RUNNING'], {
    status: 'RUNNING',
    started_at: sql<Date>`least(started_at, ${STARTED_AT})`,
    last_heartbeat_at: sql<Date>`clock_timestamp()`,
    runner: sql<string>`own.runner`,
  })
  const facts = await runFacts(
    tx,
    events.map(({ runId }) => runId),
  )
  await logEvents(
    tx,
    events.flatMap(({ runId, attempt, runner }) => {
      const of = facts.get(runId)
      const event = { type: 'metric_run.started', attempt, runner } as const
      return of ? [{ key: `${runId}:${attempt}:started`, event: { ...event, ...of } }] : []
    }),
  )
}

/**
 * Applies heartbeats. The time of receipt counts, and progress never decreases. The first heartbeat of a REQUESTED
 * run starts it. A runner that gets `ended` or `overtaken` must stop: the run was cancelled, or requested again.
 * Returns the outcome of each event, in their order.
 * @throws RunEventError for an unknown run or attempt
 */
export async function recordHeartbeats(
  tx: Tx,
  events: readonly MetricRunHeartbeat[],
): Promise<RunEventOutcome[]> {
  const runs = await lockRuns(tx, events)
  const alive = new Map<string, RunValues>()
  const outcomes = events.map((event): RunEventOutcome => {
    const run = resolveRun(runs, event)
    if (typeof run === 'string') return run
    if (run.status === 'TIMED_OUT') return 'overtaken'
    alive.set(event.runId, changeBy(event, alive.get(event.runId)))
    return 'applied'
  })
  await changeRuns(tx, [...alive.values()], ['REQUESTED', 'RUNNING'], {
    status: 'RUNNING',
    started_at: sql<Date>`coalesce(started_at, ${STARTED_AT})`,
    last_heartbeat_at: sql<Date>`clock_timestamp()`,
    progress: sql<number>`greatest(metric_runs.progress, coalesce(own.progress, 0))`,
    message: sql<string>`coalesce(own.message, metric_runs.message)`,
  })
  return outcomes
}

/** Returns the values that a heartbeat sets, combined with those of an earlier one of the same run. */
function changeBy(
  { runId: id, attempt, at, progress, message }: MetricRunHeartbeat,
  earlier: RunValues = { id },
): RunValues {
  return {
    ...earlier,
    attempt,
    at: new Date(Math.min(Date.parse(at), earlier.at?.getTime() ?? Number.POSITIVE_INFINITY)),
    ...(progress === undefined ? {} : { progress: Math.max(progress, earlier.progress ?? 0) }),
    ...(message === undefined ? {} : { message }),
  }
}

/** Applies one heartbeat. See `recordHeartbeats`. */
export async function recordHeartbeat(tx: Tx, event: MetricRunHeartbeat): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await recordHeartbeats(tx, [event])
  return outcome
}

/**
 * Applies `completed` events, for success and failure. A duplicate, late or overtaken event changes nothing; an event
 * before `started` counts. The values of a succeeded run are in place when this transaction commits, and it requests
 * the runs of dependent metrics. If the values are in files, the files are imported first and the run continues until
 * then. Returns the outcome of each event, in their order.
 * @throws RunEventError for an unknown run or attempt
 */
export async function completeRuns(
  tx: Tx,
  events: readonly MetricRunCompleted[],
): Promise<RunEventOutcome[]> {
  const locked = await lockWithDependents(tx, await metricIdsOf(tx, events))
  const runs = await lockRuns(tx, events, locked)
  const endings = new Map<string, RunEnding>()
  const announcements = new Map<string, Announcement>()
  const outcomes = events.map((event): RunEventOutcome => {
    const run = resolveRun(runs, event)
    if (typeof run === 'string') return run
    if (run.job_id !== null || endings.has(run.id) || announcements.has(run.id)) return 'duplicate'
    if (hasResultFiles(event)) announcements.set(run.id, event)
    else endings.set(run.id, endingOf(event))
    return 'applied'
  })
  for (const announcement of announcements.values()) await importResults(tx, announcement)
  if (endings.size > 0) await endRuns(tx, [...endings.values()], locked)
  return outcomes
}

/** Applies one `completed` event. See `completeRuns`. */
export async function completeRun(tx: Tx, event: MetricRunCompleted): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await completeRuns(tx, [event])
  return outcome
}

function endingOf(event: MetricRunCompleted): RunEnding {
  const { runId: id, attempt } = event
  if (event.status === 'failed') return { id, attempt, to: 'FAILED', error: event.error }
  const { rowCount, days } = event
  return { id, attempt, to: 'SUCCEEDED', rowCount, days: toMultirange(days) }
}

/**
 * Requeues runs whose runner stops before it ends them: they become REQUESTED again, in the same attempt. The runner
 * has rolled back its work and does not touch them any more. Returns the ids of the requeued runs.
 */
export async function requeueRuns(
  tx: Tx,
  runs: readonly { runId: string; attempt: number }[],
): Promise<string[]> {
  await lockRuns(tx, runs)
  const own = runs.map(({ runId: id, attempt }) => ({ id, attempt }))
  const changed = await tryChangeRuns(tx, own, ['RUNNING'], {
    status: 'REQUESTED',
    requested_at: sql<Date>`clock_timestamp()`,
    started_at: null,
    last_heartbeat_at: null,
    runner: null,
    progress: 0,
    message: '',
  })
  return changed.map(({ id }) => id)
}

/** Why an event of a runner can never be applied. */
export type RunEventErrorCode = 'unknown_run' | 'unknown_attempt' | 'not_external'

/**
 * An event of a runner that can never be applied: the run or the attempt does not exist, or Aduana computes the run
 * itself.
 */
export class RunEventError extends Error {
  override readonly name = 'RunEventError'
  readonly code: RunEventErrorCode
  readonly runId: string
  constructor(code: RunEventErrorCode, runId: string, detail: string) {
    super(detail)
    this.code = code
    this.runId = runId
  }
}

/**
 * Returns the run of an event if the attempt is current and the run is open; otherwise why the event is ignored.
 * @throws RunEventError when the run or the attempt does not exist
 */
function resolveRun(
  runs: ReadonlyMap<string, LockedRun>,
  event: { runId: string; attempt: number },
): LockedRun | 'overtaken' | 'ended' {
  const { runId, attempt } = event
  const run = runs.get(runId)
  if (!run) throw new RunEventError('unknown_run', runId, `there is no run ${runId}`)
  if (attempt > run.attempt)
    throw new RunEventError(
      'unknown_attempt',
      runId,
      `run ${runId} is in attempt ${run.attempt}, but this event is of attempt ${attempt}`,
    )
  if (attempt < run.attempt) return 'overtaken'
  return ENDED_RUNS.includes(run.status) ? 'ended' : run
}
