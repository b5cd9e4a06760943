import { ENDED_RUNS, RunStatus } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { RunEventError } from './event-problem.ts'

/** A run whose row is locked. */
export interface LockedRun {
  id: string
  metric_id: string
  status: RunStatus
  attempt: number
  /** Who computes it, once that is known. */
  runner: string | null
  /** The import of its results, once they are announced. */
  job_id: string | null
}

/**
 * Lock the rows of runs, in the order of their ids. A transaction that ends runs, or makes or asks for runs of metrics,
 * has locked the metrics before, and passes them all as `metricIds`: their open runs, and expired ones that no run has
 * taken over, are locked in the same statement. Rows that were locked later could be out of order. Values that are being
 * written reference their run, which locks its key only and does not conflict.
 */
export async function lockRunsOf(
  tx: Tx,
  events: readonly { runId: string }[],
  metricIds: readonly string[] = [],
): Promise<Map<string, LockedRun>> {
  const ids = events.map(({ runId }) => runId)
  const rows = await sql<LockedRun>`select id, metric_id, status, attempt, runner, job_id from metric_runs
    where id in (
      select unnest(${ids}::uuid[])
      union
      select id from metric_runs where metric_id = any (${metricIds}::uuid[])
        and (status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT')
          or (status = 'EXPIRED' and taken_over_by is null)))
    order by id for no key update`.execute(tx)
  return new Map(rows.rows.map((row) => [row.id, { ...row, status: RunStatus.parse(row.status) }]))
}

/**
 * The run that an event speaks of, if its attempt is the present one and it has not ended; or why nothing is to be done.
 * @throws RunEventError when there is no such run, or its attempt was never asked for
 */
export function runOfEvent(
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
