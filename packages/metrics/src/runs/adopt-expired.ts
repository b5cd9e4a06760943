import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { unionScopes } from './scopes.ts'

/** A run to which a change was assigned. */
interface AdoptingRun {
  metric_id: string
  run_id: string
  for_next: boolean
}

/**
 * Assigns the days of expired runs to the runs that have just taken a change, so that a metric is complete again when
 * its datasets arrive. An expired run records its successor (`taken_over_by`).
 */
export async function adoptExpiredRuns(tx: Tx, taken: readonly AdoptingRun[]): Promise<void> {
  const pairs = taken.map(({ metric_id, run_id, for_next }) => ({ metric_id, run_id, for_next }))
  await sql`
    with adopting as (
      select * from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb)
        as t(metric_id uuid, run_id uuid, for_next boolean)
    ), expired as (
      update metric_runs e set taken_over_by = t.run_id, version = e.version + 1, updated_at = clock_timestamp()
      from adopting t where e.metric_id = t.metric_id and e.status = 'EXPIRED' and e.taken_over_by is null
      returning e.id, t.run_id, t.for_next, e.days, e.companies, e.warehouses
    ), sum as (
      select l.run_id, l.for_next, range_agg(l.days) as days, ${unionOfGroup('companies')}, ${unionOfGroup('warehouses')}
      from expired l group by l.run_id, l.for_next
    ), inputs as (
      insert into run_dataset_updates (run_id, update_id, for_next)
      select distinct l.run_id, i.update_id, l.for_next
      from expired l join run_dataset_updates i on i.run_id = l.id
      on conflict do nothing
    )
    update metric_runs r set
      days = case when s.for_next then r.days else r.days + s.days end,
      next_days = case when s.for_next then r.next_days + s.days else r.next_days end,
      ${unionWithRun('companies')}, ${unionWithRun('warehouses')}
    from sum s where r.id = s.run_id`.execute(tx)
}

/** SQL: the union of the lists of a group; null when one of them is null. */
function unionOfGroup(name: 'companies' | 'warehouses') {
  const column = sql.ref(`l.${name}`)
  return sql`case when bool_and(${column} is not null) then coalesce((select array_agg(distinct s order by s)
    from expired x, unnest(x.${sql.ref(name)}) s where x.run_id = l.run_id), '{}') end as ${sql.ref(name)}`
}

function unionWithRun(name: 'companies' | 'warehouses') {
  const [own, next, adopted] = [sql.ref(`r.${name}`), sql.ref(`r.next_${name}`), sql.ref(`s.${name}`)]
  return sql`${sql.ref(name)} = case when s.for_next then ${own} else ${unionScopes(own, adopted)} end,
    ${sql.ref(`next_${name}`)} = case when s.for_next then ${unionScopes(next, adopted)} else ${next} end`
}
