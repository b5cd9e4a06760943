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
 * Lock the rows of runs, in the one order that everybody keeps. Who ends runs has locked their metrics before. Values
 * that are being written point at their run: that locks its key, which nobody changes, and holds nobody up.
 */
export async function lockRunsOf(
  tx: Tx,
  events: readonly { runId: string }[],
): Promise<Map<string, LockedRun>> {
  const ids = events.map(({ runId }) => runId)
  const rows = await sql<LockedRun>`select id, metric_id, status, attempt, runner, job_id from metric_runs
    where id = any (${ids}::uuid[]) order by id for no key update`.execute(tx)
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
