import type { MetricRunCompleted } from '@aduana/contracts/metrics/events'
import type { RunEventOutcome } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import { sql } from 'kysely'
import { type Announcement, announcesFiles, importResults } from '../results/announce.ts'
import { lockRunsOf, runOfEvent } from './classify.ts'
import { type Ending, endRuns } from './end.ts'
import { lockWithDependents } from './locks.ts'

/**
 * Runners are done, well or not. What comes twice, late or for an attempt that was given up changes nothing; what comes
 * before anybody saw the run begin counts. The values of a succeeded run are in place when this transaction commits:
 * the metrics that need them are asked for in it. If they are in files, these are to be imported first; until then the
 * run goes on. Answers what became of each event, in their order.
 * @throws RunEventError for a run or an attempt that does not exist
 */
export async function runsCompleted(
  tx: Tx,
  events: readonly MetricRunCompleted[],
): Promise<RunEventOutcome[]> {
  const locked = await lockWithDependents(tx, await metricsOf(tx, events))
  const runs = await lockRunsOf(tx, events, locked)
  const endings = new Map<string, Ending>()
  const announcements = new Map<string, Announcement>()
  const outcomes = events.map((event): RunEventOutcome => {
    const run = runOfEvent(runs, event)
    if (typeof run === 'string') return run
    if (run.job_id !== null || endings.has(run.id) || announcements.has(run.id)) return 'duplicate'
    if (announcesFiles(event)) announcements.set(run.id, event)
    else endings.set(run.id, endingOf(event))
    return 'applied'
  })
  for (const announcement of announcements.values()) await importResults(tx, announcement)
  if (endings.size > 0) await endRuns(tx, [...endings.values()], locked)
  return outcomes
}

/** The same for one event. */
export async function runCompleted(tx: Tx, event: MetricRunCompleted): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await runsCompleted(tx, [event])
  return outcome
}

function endingOf(event: MetricRunCompleted): Ending {
  const { runId: id, attempt } = event
  if (event.status === 'failed') return { id, attempt, to: 'FAILED', error: event.error }
  const { rowCount, days } = event
  return { id, attempt, to: 'SUCCEEDED', rowCount, days: toMultirange(days) }
}

/** The metrics of runs; which these are never changes. */
export async function metricsOf(tx: Tx, runs: readonly { runId: string }[]): Promise<string[]> {
  const ids = runs.map(({ runId }) => runId)
  const rows = await sql<{ metric_id: string }>`select distinct metric_id from metric_runs
    where id = any (${ids}::uuid[])`.execute(tx)
  return rows.rows.map(({ metric_id }) => metric_id)
}
