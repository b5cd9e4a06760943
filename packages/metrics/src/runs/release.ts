import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { requestRuns } from '../requests/request.ts'

/** SQL: the run waits for no dataset any more. */
export const hasDatasets = sql<boolean>`not exists (
  select from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null)`

/**
 * Ask for the pending runs of these metrics that wait for nothing any more: no dataset, no metric beneath whose values
 * are about to change, no other run of the same metric. A metric beneath that itself waits for a dataset does not hold
 * anybody up: when that comes, it causes runs above it again. Answers the ids of the runs asked for. The caller holds the
 * metrics' locks, so that what is waited for cannot end unseen.
 */
export async function releaseRuns(tx: Tx, metricIds: readonly string[]): Promise<string[]> {
  if (metricIds.length === 0) return []
  const rows = await sql<{ id: string }>`
    with recursive moving as (
      select distinct r.metric_id from metric_runs r
      where r.status in ('REQUESTED', 'RUNNING', 'TIMED_OUT') or (r.status = 'PENDING' and ${hasDatasets})
    ), above as (
      select d.metric_id from moving join metric_dependencies d on d.needs_metric_id = moving.metric_id
      union
      select d.metric_id from above join metric_dependencies d on d.needs_metric_id = above.metric_id
    )
    select distinct on (r.metric_id) r.id from metric_runs r
    where r.metric_id = any (${metricIds}::uuid[]) and r.status = 'PENDING' and ${hasDatasets}
      and r.metric_id not in (select metric_id from above)
      and not exists (select from metric_runs o
        where o.metric_id = r.metric_id and o.status in ('REQUESTED', 'RUNNING', 'TIMED_OUT'))
    order by r.metric_id, r.as_of`.execute(tx)
  return requestRuns(
    tx,
    rows.rows.map(({ id }) => id),
    ['PENDING'],
  )
}
