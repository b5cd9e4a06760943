import type { TestDatabase } from '@aduana/testkit/database'
import type { MetricWorld } from './worlds.ts'

/** All state that determines how a world settles, without ids and times. `$1`: the run of the world. */
const STATE = `
  select jsonb_build_object(
    'runs', (select jsonb_agg(x order by x::text) from (
      select jsonb_build_array(m.code, r.id = $1, r.as_of - current_date, r.status, r.cause, r.days, r.next_days, r.attempt,
        r.metric_version, r.job_id is not null, r.taken_over_by = $1, r.taken_over_by is null, r.output_days, j.status,
        array(select d.code from metric_run_pending_datasets p join datasets d on d.id = p.dataset_id
          where p.run_id = r.id and p.satisfied_by is null order by 1),
        array(select u.event_key || i.for_next from run_dataset_updates i join dataset_updates u on u.id = i.update_id
          where i.run_id = r.id order by 1)) as x
      from metric_runs r join metrics m on m.id = r.metric_id left join jobs j on j.id = r.job_id) runs),
    'updates', (select jsonb_object_agg(event_key, fanned_out_at is not null) from dataset_updates),
    'metrics', (select jsonb_object_agg(code, jsonb_build_array(current_version, retired_at is null)) from metrics),
    'events', (select jsonb_object_agg(type, n) from (
      select type || coalesce(body -> 'data' ->> 'attempt', body ->> 'attempt', '') || coalesce(sent_at is null, false) as type,
        count(*) as n from event_log group by 1) e),
    'values', (select jsonb_object_agg(metric_name || date, value) from daily_metrics)
  )::text as state`

/** Returns a key of the state of a world. Worlds with equal keys settle in the same way. */
export async function stateOf(
  { pool }: TestDatabase,
  { run, begun }: MetricWorld,
  requested: object,
): Promise<string> {
  const { rows } = await pool.query<{ state: string }>(STATE, [run])
  const claims = begun.map(({ runId, attempt, days, definition }) => [
    runId === run,
    definition.code,
    definition.expression,
    attempt,
    days,
  ])
  return JSON.stringify([rows[0]?.state, claims, requested])
}
