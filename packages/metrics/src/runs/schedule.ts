import { REQUESTED_RUNS } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { groupBy } from '@aduana/metric-compute/group-by'
import { sql } from 'kysely'
import { requestRuns } from '../requests/request.ts'
import { type AssignedRun, type Change, coalesceChange, waitsForNoDataset } from './coalesce.ts'
import { logEvents } from './event-log.ts'

/** A change, and the metrics that it concerns. */
export interface TargetedChange {
  change: Change
  metricIds: readonly string[]
}

/** What became of changes, as ids of runs. */
export interface ScheduledRuns {
  /** Requested from their runners. */
  requested: string[]
  /** New, and waiting for datasets or for other metrics. */
  pending: string[]
  /** Open before, and extended. */
  merged: string[]
  /** The runs to which the changes were assigned, in their order. */
  assigned: readonly AssignedRun[]
}

/**
 * Assigns changes to runs, and requests every run of `metricIds` that is ready. The caller holds the locks of
 * `metricIds`, which contain the metrics of the changes.
 */
export async function scheduleRuns(
  tx: Tx,
  changes: readonly TargetedChange[],
  metricIds: readonly string[],
): Promise<ScheduledRuns> {
  const assigned: AssignedRun[] = []
  for (const { change, metricIds: metrics } of changes)
    assigned.push(...(await coalesceChange(tx, change, metrics)))
  const requested = await requestReadyRuns(tx, metricIds)
  const fresh = new Set(assigned.filter((run) => run.fresh).map(({ run_id }) => run_id))
  const isRequested = new Set(requested)
  const pending = [...fresh].filter((id) => !isRequested.has(id))
  const merged = new Set(assigned.map(({ run_id }) => run_id).filter((id) => !fresh.has(id)))
  await logPending(tx, pending)
  return { requested, pending, merged: [...merged], assigned }
}

interface PendingRow {
  id: string
  metric: string
  as_of: string
  cause: Change['cause']
  expires_at: Date
  waits_for: string[]
}

async function logPending(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return
  const rows = await sql<PendingRow>`select r.id, m.code as metric, r.as_of, r.cause, r.expires_at,
      array(select d.code from metric_run_pending_datasets p join datasets d on d.id = p.dataset_id
        where p.run_id = r.id and p.satisfied_by is null order by d.code) as waits_for
    from metric_runs r join metrics m on m.id = r.metric_id where r.id = any (${runIds}::uuid[])`.execute(tx)
  await logEvents(
    tx,
    rows.rows.map((row) => ({
      key: `${row.id}:pending`,
      event: {
        type: 'metric_run.pending',
        runId: row.id,
        metric: row.metric,
        asOf: row.as_of,
        cause: row.cause,
        waitsFor: row.waits_for,
        expiresAt: row.expires_at.toISOString(),
      },
    })),
  )
}

/**
 * Requests the pending runs of these metrics that are ready: they wait for no dataset, no input metric is about to
 * change, and no other run of the metric is open. An input metric that itself waits for a dataset does not count:
 * when the dataset arrives, it causes new runs. Returns the ids of the requested runs. The caller holds the locks of
 * the metrics, so that nothing that a run waits for can end unseen.
 */
async function requestReadyRuns(tx: Tx, metricIds: readonly string[]): Promise<string[]> {
  if (metricIds.length === 0) return []
  const rows = await sql<{ id: string }>`
    with recursive moving as (
      select distinct r.metric_id from metric_runs r
      where r.status in (${literals(REQUESTED_RUNS)}) or (r.status = 'PENDING' and ${waitsForNoDataset})
    ), above as (
      select d.metric_id from moving join metric_dependencies d on d.needs_metric_id = moving.metric_id
      union
      select d.metric_id from above join metric_dependencies d on d.needs_metric_id = above.metric_id
    )
    select distinct on (r.metric_id) r.id from metric_runs r
    where r.metric_id = any (${metricIds}::uuid[]) and r.status = 'PENDING' and ${waitsForNoDataset}
      and r.metric_id not in (select metric_id from above)
      and not exists (select from metric_runs o
        where o.metric_id = r.metric_id and o.status in (${literals(REQUESTED_RUNS)}))
    order by r.metric_id, r.as_of`.execute(tx)
  return requestRuns(
    tx,
    rows.rows.map(({ id }) => id),
    ['PENDING'],
  )
}

interface Row {
  metric_id: string
  run_id: string
  occurred_at: Date
  output_days: string
  companies: string[] | null
  warehouses: string[] | null
}

/**
 * Returns the changes that succeeded runs cause in the metrics that use theirs directly: the days that they wrote,
 * and the companies and warehouses of the run. Equal changes of several metrics are combined.
 */
export async function dependentChanges(tx: Tx, succeededIds: readonly string[]): Promise<TargetedChange[]> {
  if (succeededIds.length === 0) return []
  const rows =
    await sql<Row>`select d.metric_id, r.id as run_id, r.occurred_at, r.output_days::text as output_days,
      r.companies, r.warehouses
    from metric_runs r join metric_dependencies d on d.needs_metric_id = r.metric_id
    where r.id = any (${succeededIds}::uuid[]) and not isempty(r.output_days)
    order by r.occurred_at, r.id`.execute(tx)
  const groups = groupBy(rows.rows, (row) =>
    JSON.stringify([row.occurred_at, row.output_days, row.companies, row.warehouses]),
  )
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (!first) return []
    return {
      change: {
        cause: 'metric',
        occurredAt: first.occurred_at,
        days: first.output_days,
        companies: first.companies,
        warehouses: first.warehouses,
        inputRuns: group.map(({ metric_id, run_id }) => ({ metricId: metric_id, runId: run_id })),
        waitForDatasets: true,
      },
      metricIds: [...new Set(group.map(({ metric_id }) => metric_id))],
    }
  })
}
