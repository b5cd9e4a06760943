import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

const GRAPH = sql`hashtextextended('aduana metric graph', 0)`

/** Keep the graph of metrics as it is until the transaction ends. Everybody who decides about runs holds it. */
export async function holdGraph(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${GRAPH})`.execute(tx)
}

/** Be the only one who changes the graph of metrics, while nobody decides about runs. */
export async function ownGraph(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${GRAPH})`.execute(tx)
}

/**
 * Lock metrics and all that need them, however far above, in the one order that everybody keeps. Who ends a run or
 * decides whether one may begin holds the metric and what is above it: two who decide at once would each wait for
 * what the other has just done. Runs are locked after their metrics, never before. Answers the ids.
 */
export async function lockWithDependents(tx: Tx, metricIds: readonly string[]): Promise<string[]> {
  await holdGraph(tx)
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
 * Lock the metrics that depend on a dataset, by themselves or through others, and those of which a run still waits for
 * it from an earlier definition. Returns their ids.
 */
export async function lockDependentsOf(tx: Tx, datasetId: string): Promise<string[]> {
  await holdGraph(tx)
  const rows = await sql<{ id: string }>`select id from metrics
    where id in (
      select metric_id from metric_dependencies where dataset_id = ${datasetId}
      union
      select r.metric_id from metric_run_pending_datasets p join metric_runs r on r.id = p.run_id
      where p.dataset_id = ${datasetId} and p.satisfied_by is null and r.status = 'PENDING')
    order by id for no key update`.execute(tx)
  return rows.rows.map(({ id }) => id)
}
