import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { lockDependentsOf, lockGraphShared, lockRuns } from '../runs/locks.ts'
import { type ScheduledRuns, scheduleRuns } from '../runs/schedule.ts'

interface Update {
  id: string
  dataset_id: string
  occurred_at: Date
  days: string
  companies: string[] | null
  warehouses: string[] | null
}

const NONE: ScheduledRuns = { requested: [], pending: [], merged: [], assigned: [] }

/**
 * Fans a dataset update out to the metrics, once per update. Runs that waited for this dataset no longer do. Every
 * metric that aggregates it gets a run for the days, companies and warehouses that changed: requested at once when
 * every other dataset of the metric has a timely update, otherwise pending. Metrics that use only other metrics
 * follow when these are done. Everything happens in the transaction of the caller, which should hold one update.
 */
export function fanOutUpdate(tx: Tx, updateId: string): Promise<ScheduledRuns> {
  return fanOutUpdates(tx, [updateId])
}

/**
 * Fans several updates of one dataset out together. Updates of several datasets would lock metrics out of order.
 * @throws Error when they are of several datasets
 */
export async function fanOutUpdates(tx: Tx, updateIds: readonly string[]): Promise<ScheduledRuns> {
  const updates = await claimUpdates(tx, updateIds)
  const [first] = updates
  if (!first) return NONE
  if (updates.some(({ dataset_id }) => dataset_id !== first.dataset_id))
    throw new Error('updates of several datasets cannot be fanned out together')
  const locked = await lockDependentsOf(tx, first.dataset_id)
  await lockRuns(tx, [], locked)
  for (const update of updates) await satisfyPendingDatasets(tx, update)
  const metricIds = await metricsAggregating(tx, first.dataset_id)
  return scheduleRuns(
    tx,
    updates.map((update) => ({ change: changeOf(update), metricIds })),
    locked,
  )
}

function changeOf({ id, dataset_id, occurred_at, days, companies, warehouses }: Update) {
  return {
    cause: 'update',
    occurredAt: occurred_at,
    days,
    companies,
    warehouses,
    datasetId: dataset_id,
    updateId: id,
    waitForDatasets: true,
  } as const
}

/**
 * Returns the updates that are not fanned out yet, and marks them. A concurrent caller waits here and then gets none.
 */
async function claimUpdates(tx: Tx, updateIds: readonly string[]): Promise<Update[]> {
  await lockGraphShared(tx)
  const rows = await sql<Update>`update dataset_updates u set fanned_out_at = clock_timestamp()
    from (select id from dataset_updates where id = any (${updateIds}::uuid[]) order by id for no key update) own
    where u.id = own.id and fanned_out_at is null
    returning u.id, dataset_id, occurred_at, days::text as days, companies, warehouses`.execute(tx)
  return updateIds.flatMap((id) => rows.rows.find((row) => row.id === id) ?? [])
}

/** Marks the dataset as arrived for the runs whose period includes the update. */
async function satisfyPendingDatasets(tx: Tx, update: Update): Promise<void> {
  const { id: updateId } = update
  const at = sql`${update.occurred_at.toISOString()}::timestamptz`
  await sql`
    with satisfied as (
      update metric_run_pending_datasets p set satisfied_by = ${updateId}, satisfied_at = clock_timestamp()
      from metric_runs r
      where p.dataset_id = ${update.dataset_id} and p.satisfied_by is null and r.id = p.run_id and r.status = 'PENDING'
        and ${at} between r.occurred_at - p.required_days * interval '24 hours'
          and r.occurred_at + p.required_days * interval '24 hours'
      returning p.run_id
    )
    insert into run_dataset_updates (run_id, update_id) select run_id, ${updateId}::uuid from satisfied
    on conflict do nothing`.execute(tx)
}

/** Returns the metrics that aggregate rows of a dataset directly. */
async function metricsAggregating(tx: Tx, datasetId: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('dataset_series as s')
    .innerJoin('metric_dependencies as d', 'd.series_id', 's.series_id')
    .select('d.metric_id')
    .distinct()
    .where('s.dataset_id', '=', datasetId)
    .execute()
  return rows.map(({ metric_id }) => metric_id)
}
