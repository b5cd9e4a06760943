import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { holdGraph, lockDependentsOf } from '../runs/locks.ts'
import { type Decided, settle } from '../runs/settle.ts'

interface Update {
  dataset_id: string
  occurred_at: Date
  days: string
  companies: string[] | null
  warehouses: string[] | null
}

const NOTHING: Decided = { requested: [], pending: [], merged: [], taken: [] }

/**
 * Pass a dataset update on to the metrics: once, however often it is called. Runs that waited for this dataset no longer
 * do; every metric that aggregates it gets a run for the days, companies and warehouses that changed, asked for at once
 * when every other dataset that it depends on has had an update in time, pending otherwise. Metrics that need only
 * other metrics follow when these are done. All of it in the caller's transaction, which should hold one update.
 */
export async function fanOut(tx: Tx, updateId: string): Promise<Decided> {
  const update = await claim(tx, updateId)
  if (!update) return NOTHING
  const locked = await lockDependentsOf(tx, update.dataset_id)
  await satisfy(tx, updateId, update)
  const direct = await metricsOver(tx, update.dataset_id)
  const { dataset_id, occurred_at, days, companies, warehouses } = update
  const change = {
    cause: 'update',
    occurredAt: occurred_at,
    days,
    companies,
    warehouses,
    datasetId: dataset_id,
    updateId,
    wait: true,
  } as const
  return settle(tx, [{ change, metricIds: direct }], locked)
}

/** The update, for who passes it on first; a second one waits here and then finds it passed on. */
async function claim(tx: Tx, updateId: string): Promise<Update | undefined> {
  await holdGraph(tx)
  const rows = await sql<Update>`update dataset_updates set fanned_out_at = clock_timestamp()
    where id = ${updateId} and fanned_out_at is null
    returning dataset_id, occurred_at, days::text as days, companies, warehouses`.execute(tx)
  return rows.rows[0]
}

/** The dataset has come for the runs in whose time the update happened. */
async function satisfy(tx: Tx, updateId: string, update: Update): Promise<void> {
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

/** The metrics that aggregate rows of a dataset themselves. */
async function metricsOver(tx: Tx, datasetId: string): Promise<string[]> {
  const rows = await sql<{ metric_id: string }>`select distinct d.metric_id
    from dataset_series s join metric_dependencies d on d.series_id = s.series_id
    where s.dataset_id = ${datasetId}`.execute(tx)
  return rows.rows.map(({ metric_id }) => metric_id)
}
