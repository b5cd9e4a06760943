import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/**
 * Make the runs that follow ended ones: of what came while these were with their runners, with its inputs. They wait
 * for no dataset; `settle` asks for them.
 */
export async function makeFollowUps(tx: Tx, endedIds: readonly string[]): Promise<void> {
  await sql`
    with ended as (
      select * from metric_runs where id = any (${endedIds}::uuid[]) and next_days is not null
    ), follow_up as (
      insert into metric_runs (metric_id, metric_version, occurred_at, as_of, status, cause, days, companies, warehouses,
        expires_at)
      select e.metric_id, m.current_version, e.occurred_at, e.as_of, 'PENDING', e.cause, e.next_days, e.next_companies,
        e.next_warehouses, greatest(e.expires_at, clock_timestamp() + interval '24 hours')
      from ended e join metrics m on m.id = e.metric_id and m.retired_at is null
      returning id, metric_id, as_of
    ), moved as (
      update run_dataset_updates i set run_id = f.id, for_next = false
      from ended e join follow_up f using (metric_id, as_of) where i.run_id = e.id and i.for_next
    )
    update metric_runs r set next_days = null, next_companies = null, next_warehouses = null
    from ended e where r.id = e.id`.execute(tx)
}
