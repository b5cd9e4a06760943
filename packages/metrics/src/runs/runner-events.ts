import type { MetricRunStarted } from '@aduana/contracts/metrics/events'
import type { RunEventOutcome } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { lockRunsOf, runOfEvent } from './classify.ts'
import { logEvents, runFacts } from './event-log.ts'
import { changeRuns } from './transitions.ts'

/** SQL: the moment that a runner names, but no later than ours. */
export const BEGUN = sql<Date>`least(own.at, clock_timestamp())`

/**
 * Runners have begun: REQUESTED runs become RUNNING. From then on what changes beneath is for the next run. Of a run whose
 * first sign of life came before, this tells who computes it. Answers what became of each event, in their order.
 * @throws RunEventError for a run or an attempt that does not exist
 */
export async function runsStarted(tx: Tx, events: readonly MetricRunStarted[]): Promise<RunEventOutcome[]> {
  const runs = await lockRunsOf(tx, events)
  const begin = new Map<string, MetricRunStarted>()
  const outcomes = events.map((event): RunEventOutcome => {
    const run = runOfEvent(runs, event)
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
export async function runStarted(tx: Tx, event: MetricRunStarted): Promise<RunEventOutcome> {
  const [outcome = 'duplicate'] = await runsStarted(tx, [event])
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
    started_at: sql<Date>`least(started_at, ${BEGUN})`,
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
