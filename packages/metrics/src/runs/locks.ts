import { OPEN_RUNS, RunStatus } from '@aduana/contracts/metrics/runs'
import { LOCKS, shareLock, takeLock } from '@aduana/db/advisory-locks'
import type { Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { sql } from 'kysely'

/**
 * Locks the graph of metrics in share mode until the transaction ends. Every transaction that schedules or ends runs
 * holds it.
 */
export async function lockGraphShared(tx: Tx): Promise<void> {
  await shareLock(tx, LOCKS.metricGraph)
}

/** Locks the graph of metrics exclusively until the transaction ends, to change it. */
export async function lockGraphExclusive(tx: Tx): Promise<void> {
  await takeLock(tx, LOCKS.metricGraph)
}

/**
 * Locks metrics and all their dependents in the order of their ids, and returns the ids. A transaction that ends a
 * run, or decides whether one may start, holds the metric and its dependents; otherwise two concurrent decisions
 * could each wait for what the other has just done. Runs are locked after their metrics, never before.
 */
export async function lockWithDependents(tx: Tx, metricIds: readonly string[]): Promise<string[]> {
  await lockGraphShared(tx)
  const rows = await sql<{ id: string }>`
    with recursive above as (
      select unnest(${metricIds}::uuid[]) as id
      union
      select d.metric_id from above a join metric_dependencies d on d.needs_metric_id = a.id
    )
    select id from metrics where id in (select id from above) order by id for no key update`.execute(tx)
  return rows.rows.map(({ id }) => id)
}

/**
 * Locks the metrics that depend on a dataset, directly or through others, and those with a run that still waits for
 * it from an earlier definition. Returns their ids.
 */
export async function lockDependentsOf(tx: Tx, datasetId: string): Promise<string[]> {
  await lockGraphShared(tx)
  const rows = await sql<{ id: string }>`select id from metrics
    where id in (
      select metric_id from metric_dependencies where dataset_id = ${datasetId}
      union
      select r.metric_id from metric_run_pending_datasets p join metric_runs r on r.id = p.run_id
      where p.dataset_id = ${datasetId} and p.satisfied_by is null and r.status = 'PENDING')
    order by id for no key update`.execute(tx)
  return rows.rows.map(({ id }) => id)
}

/** A run whose row is locked. */
export interface LockedRun {
  id: string
  metric_id: string
  status: RunStatus
  attempt: number
  /** Its runner, once known. */
  runner: string | null
  /** The import of its results, once announced. */
  job_id: string | null
}

/**
 * Locks the rows of runs in the order of their ids, and returns them by id. A transaction that ends, creates or
 * requests runs has locked the metrics before and passes all of them as `metricIds`: their open runs, and expired
 * runs that no run has taken over, are locked by the same statement. Locking them later could break the order. Values
 * that are being written reference their run, which locks only its key and does not conflict.
 */
export async function lockRuns(
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
        and (status in (${literals(OPEN_RUNS)})
          or (status = 'EXPIRED' and taken_over_by is null)))
    order by id for no key update`.execute(tx)
  return new Map(rows.rows.map((row) => [row.id, { ...row, status: RunStatus.parse(row.status) }]))
}

/** Returns the ids of the metrics of runs, which never change. */
export async function metricIdsOf(tx: Tx, runs: readonly { runId: string }[]): Promise<string[]> {
  const ids = runs.map(({ runId }) => runId)
  const rows = await sql<{ metric_id: string }>`select distinct metric_id from metric_runs
    where id = any (${ids}::uuid[])`.execute(tx)
  return rows.rows.map(({ metric_id }) => metric_id)
}
