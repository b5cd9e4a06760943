import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** A run that has taken a change in, and whether for the run that follows it. */
interface AdoptingRun {
  metric_id: string
  run_id: string
  for_next: boolean
}

/**
 * Give what expired runs of these metrics have not done to the runs that have just taken a change in: a metric whose
 * datasets come again is then whole again. Who took an expired run over stands in it.
 */
export async function adoptExpiredRuns(tx: Tx, taken: readonly AdoptingRun[]): Promise<void> {
  const pairs = taken.map(({ metric_id, run_id, for_next }) => ({ metric_id, run_id, for_next }))
  await sql`
    with taker as (
      select * from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb)
        as t(metric_id uuid, run_id uuid, for_next boolean)
    ), left_over as (
      update metric_runs e set taken_over_by = t.run_id, version = e.version + 1, updated_at = clock_timestamp()
      from taker t where e.metric_id = t.metric_id and e.status = 'EXPIRED' and e.taken_over_by is null
      returning e.id, t.run_id, t.for_next, e.days, e.companies, e.warehouses
    ), sum as (
      select l.run_id, l.for_next, range_agg(l.days) as days, ${together('companies')}, ${together('warehouses')}
      from left_over l group by l.run_id, l.for_next
    ), inputs as (
      insert into run_dataset_updates (run_id, update_id, for_next)
      select distinct l.run_id, i.update_id, l.for_next
      from left_over l join run_dataset_updates i on i.run_id = l.id
      on conflict do nothing
    )
    update metric_runs r set
      days = case when s.for_next then r.days else r.days + s.days end,
      next_days = case when s.for_next then r.next_days + s.days else r.next_days end,
      ${united('companies')}, ${united('warehouses')}
    from sum s where r.id = s.run_id`.execute(tx)
}

/** All of the lists of a group in one; null when one of them is null. */
function together(name: 'companies' | 'warehouses') {
  const column = sql.ref(`l.${name}`)
  return sql`case when bool_and(${column} is not null) then coalesce((select array_agg(distinct s order by s)
    from left_over x, unnest(x.${sql.ref(name)}) s where x.run_id = l.run_id), '{}') end as ${sql.ref(name)}`
}

function united(name: 'companies' | 'warehouses') {
  const both = (
    column: string,
  ) => sql`case when ${sql.ref(`r.${column}`)} is not null and ${sql.ref(`s.${name}`)} is not null then
    coalesce((select array_agg(distinct x order by x) from unnest(${sql.ref(`r.${column}`)} || ${sql.ref(`s.${name}`)}) x), '{}') end`
  return sql`${sql.ref(name)} = case when s.for_next then ${sql.ref(`r.${name}`)} else ${both(name)} end,
    ${sql.ref(`next_${name}`)} = case when s.for_next then ${both(`next_${name}`)} else ${sql.ref(`r.next_${name}`)} end`
}
