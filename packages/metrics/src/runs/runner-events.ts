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

/** SQL: the moment that a runner names, but no later than ours. */
export const STARTED_AT = sql<Date>`least(own.at, clock_timestamp())`

/**
 * Runners have begun: REQUESTED runs become RUNNING. From then on what changes beneath is for the next run. Of a run whose
 * first sign of life came before, this tells who computes it. Answers what became of each event, in their order.
 * @throws RunEventError for a run or an attempt that does not exist
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

/** The same for one event. */
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
 * Runners are alive. What counts is when we hear of it; progress never goes back. A sign of life of a run that nobody saw
 * begin says that it has begun. Whoever hears `ended` or `overtaken` has nothing more to do: the run was cancelled, or
 * somebody else has been asked. @throws RunEventError for a run or an attempt that does not exist
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

/** What a sign of life changes, after what an earlier one of the same run does. */
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

/** The same for one event. */
export async function recordHeartbeat(tx: Tx, event: MetricRunHeartbeat): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await recordHeartbeats(tx, [event])
  return outcome
}

/**
 * Runners are done, well or not. What comes twice, late or for an attempt that was given up changes nothing; what comes
 * before anybody saw the run begin counts. The values of a succeeded run are in place when this transaction commits:
 * the metrics that need them are asked for in it. If they are in files, these are to be imported first; until then the
 * run goes on. Answers what became of each event, in their order.
 * @throws RunEventError for a run or an attempt that does not exist
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

/** The same for one event. */
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
 * Give runs back that their runner has begun and will not end, because it stops: REQUESTED again, in the same attempt. The
 * runner has seen to it that nothing of its work is left, and does not touch them any more. Answers the ids.
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
 * An event of a runner that can never be applied: of a run that does not exist, of an attempt nobody asked for, or from
 * outside of a run that Aduana computes itself.
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
 * The run that an event speaks of, if its attempt is the present one and it has not ended; or why nothing is to be done.
 * @throws RunEventError when there is no such run, or its attempt was never asked for
 */
export function resolveRun(
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
      `run ${runId} was asked for ${run.attempt} times, but this is of attempt ${attempt}`,
    )
  if (attempt < run.attempt) return 'overtaken'
  return ENDED_RUNS.includes(run.status) ? 'ended' : run
}
