import type { MetricRunHeartbeat } from '@aduana/contracts/metrics/events'
import type { RunEventOutcome } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { lockRunsOf, runOfEvent } from './classify.ts'
import { BEGUN } from './runner-events.ts'
import { changeRuns, type RunChangeOfOne } from './transitions.ts'

/**
 * Runners are alive. What counts is when we hear of it; progress never goes back. A sign of life of a run that nobody saw
 * begin says that it has begun. Whoever hears `ended` or `overtaken` has nothing more to do: the run was cancelled, or
 * somebody else has been asked. @throws RunEventError for a run or an attempt that does not exist
 */
export async function runsAlive(tx: Tx, events: readonly MetricRunHeartbeat[]): Promise<RunEventOutcome[]> {
  const runs = await lockRunsOf(tx, events)
  const alive = new Map<string, RunChangeOfOne>()
  const outcomes = events.map((event): RunEventOutcome => {
    const run = runOfEvent(runs, event)
    if (typeof run === 'string') return run
    if (run.status === 'TIMED_OUT') return 'overtaken'
    alive.set(event.runId, changeBy(event, alive.get(event.runId)))
    return 'applied'
  })
  await changeRuns(tx, [...alive.values()], ['REQUESTED', 'RUNNING'], {
    status: 'RUNNING',
    started_at: sql<Date>`coalesce(started_at, ${BEGUN})`,
    last_heartbeat_at: sql<Date>`clock_timestamp()`,
    progress: sql<number>`greatest(metric_runs.progress, coalesce(own.progress, 0))`,
    message: sql<string>`coalesce(own.message, metric_runs.message)`,
  })
  return outcomes
}

/** What a sign of life changes, after what an earlier one of the same run does. */
function changeBy(
  { runId: id, attempt, at, progress, message }: MetricRunHeartbeat,
  earlier: RunChangeOfOne = { id },
): RunChangeOfOne {
  return {
    ...earlier,
    attempt,
    at: new Date(Math.min(Date.parse(at), earlier.at?.getTime() ?? Number.POSITIVE_INFINITY)),
    ...(progress === undefined ? {} : { progress: Math.max(progress, earlier.progress ?? 0) }),
    ...(message === undefined ? {} : { message }),
  }
}

/** The same for one event. */
export async function runHeartbeat(tx: Tx, event: MetricRunHeartbeat): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await runsAlive(tx, [event])
  return outcome
}
