import { RUN_TRANSITIONS, type RunStatus } from '@aduana/contracts/metrics/runs'
import { assertTransitions } from '@aduana/contracts/transitions'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import type { DB } from '@aduana/db/schema.generated'
import { sql, type UpdateObject } from 'kysely'

/** The values of one run in a change of several; in SQL, the columns of `own`. */
export interface RunValues {
  id: string
  /** The attempt that the change expects. A run in another attempt is not changed. */
  attempt?: number
  at?: Date
  runner?: string
  progress?: number
  message?: string
  row_count?: number
  /** A `datemultirange` as text. */
  output_days?: string
  manifest?: unknown
  error?: unknown
  retry_at?: Date
}

const OWN = sql<
  Record<string, unknown>
>`own(id uuid, attempt integer, at timestamptz, runner text, progress numeric, message text,
  row_count bigint, output_days datemultirange, manifest jsonb, error jsonb, retry_at timestamptz)`

/** The columns that a change sets in every run. */
export type RunChange = Omit<
  UpdateObject<DB, 'metric_runs'>,
  'id' | 'version' | 'updated_at' | 'status' | 'metric_id' | 'as_of'
> & { status?: RunStatus }

/** A run after a change. */
export interface ChangedRun {
  id: string
  metric_id: string
  metric_version: number
  as_of: string
  attempt: number
}

/** A run is no longer in the state or attempt that a change expects. The transaction rolls back. */
export class OvertakenRunError extends Error {
  override readonly name = 'OvertakenRunError'
}

/**
 * Changes the state of runs in one statement, and returns them. Every write of a run's state uses this function or
 * `tryChangeRuns`: it checks the expected states and attempts, and raises the version. The caller has locked the runs
 * and checked their states.
 * @throws OvertakenRunError when the check fails for one of them, so that the transaction rolls back
 * @throws IllegalTransitionError when the transition is not allowed, which is a bug
 */
export async function changeRuns(
  tx: Tx,
  runs: readonly RunValues[],
  from: readonly RunStatus[],
  change: RunChange,
): Promise<ChangedRun[]> {
  const changed = await tryChangeRuns(tx, runs, from, change)
  const ids = new Set(changed.map(({ id }) => id))
  const others = runs.filter(({ id }) => !ids.has(id)).map(({ id }) => id)
  if (others.length > 0)
    throw new OvertakenRunError(`not ${from.join(' or ')} in the expected attempt: run ${others.join(', ')}`)
  return changed
}

/**
 * Like `changeRuns`, for callers that do not roll back: returns only the runs for which the check succeeded.
 * @throws IllegalTransitionError when the transition is not allowed, which is a bug
 */
export async function tryChangeRuns(
  tx: Tx,
  runs: readonly RunValues[],
  from: readonly RunStatus[],
  change: RunChange,
): Promise<ChangedRun[]> {
  if (change.status !== undefined) assertTransitions(RUN_TRANSITIONS, 'a run', from, change.status)
  if (runs.length === 0) return []
  const own = sql`jsonb_to_recordset(${jsonb(runs)}::jsonb)`.as<'own'>(OWN)
  return tx
    .updateTable('metric_runs')
    .from(own)
    .set({
      ...change,
      version: sql<string>`metric_runs.version + 1`,
      updated_at: sql<Date>`clock_timestamp()`,
    })
    .where(
      sql<boolean>`own.id = metric_runs.id and coalesce(own.attempt, metric_runs.attempt) = metric_runs.attempt`,
    )
    .where('metric_runs.status', 'in', [...from])
    .returning([
      'metric_runs.id',
      'metric_runs.metric_id',
      'metric_runs.metric_version',
      'metric_runs.as_of',
      'metric_runs.attempt',
    ])
    .execute()
}
