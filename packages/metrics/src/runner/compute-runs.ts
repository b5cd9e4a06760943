import type { Tx } from '@aduana/db/database'
import { interruptible } from '@aduana/db/interruptible'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { computeMetrics } from '@aduana/metric-compute/compute/compute'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'
import { readSeriesPlaces } from '../registry/series-places.ts'
import { lockRuns, lockWithDependents, metricIdsOf } from '../runs/locks.ts'
import { completeRuns } from '../runs/runner-events.ts'
import { widenScopes } from '../runs/scopes.ts'
import type { ClaimedRun } from './claim.ts'
import { holdLivenessLock } from './liveness.ts'
import { reportBlocking } from './report-blocking.ts'

/** Some runs of a computation have ended or have another runner. The computation was rolled back. */
export class LostRunsError extends Error {
  override readonly name = 'LostRunsError'
  readonly runIds: readonly string[]
  constructor(runIds: readonly string[]) {
    super(`${runIds.length} runs have ended or have another runner`)
    this.runIds = runIds
  }
}

/** What a computation of runs needs. */
export interface ComputeRunsOptions {
  pool: pg.Pool
  logger: Logger
  runner: string
  signal: AbortSignal
  /** Called when another transaction waits for exclusive access to a table that is read here. */
  onBlocking: () => void
  onProgress: (share: number) => void
}

/**
 * Computes runs and completes them in one transaction: values, the states of the runs and the requests of dependents
 * commit together or not at all. Returns the number of changed values.
 * @throws LostRunsError when runs have ended or have another runner
 */
export async function computeRuns(
  runs: readonly ClaimedRun[],
  options: ComputeRunsOptions,
): Promise<{ rows: number }> {
  const { pool } = options
  const rows = await inTransactionOnConnection(pool, (tx, client) =>
    interruptible(client, options, () =>
      reportBlocking(client, options, () => computeAndComplete(tx, client, runs, options)),
    ),
  )
  await failPoint('metrics.after-commit')
  return { rows }
}

async function computeAndComplete(
  tx: Tx,
  client: pg.PoolClient,
  runs: readonly ClaimedRun[],
  { runner, signal, onProgress }: ComputeRunsOptions,
): Promise<number> {
  await holdLivenessLock(tx, runner)
  const series = await readSeriesPlaces(tx)
  const results = await computeMetrics(client, { runs, series }, { signal, onProgress })
  signal.throwIfAborted()
  const at = new Date().toISOString()
  const events = runs.map(({ runId, attempt }) => {
    const result = results.get(runId)
    if (!result) throw new Error(`run ${runId} was computed without a result`)
    return { runId, attempt, at, status: 'succeeded', rowCount: result.rows, days: result.days } as const
  })
  const locked = await lockWithDependents(tx, await metricIdsOf(tx, events))
  await lockRuns(tx, events, locked)
  await widenScopes(
    tx,
    [...results].map(([runId, { companies, warehouses }]) => ({ runId, companies, warehouses })),
  )
  const outcomes = await completeRuns(tx, events)
  const lost = events.filter((_, index) => outcomes[index] !== 'applied').map(({ runId }) => runId)
  if (lost.length > 0) throw new LostRunsError(lost)
  await failPoint('metrics.before-commit')
  return events.reduce((sum, { rowCount }) => sum + rowCount, 0)
}
