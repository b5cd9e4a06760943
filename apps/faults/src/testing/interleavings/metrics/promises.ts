import type { TestDatabase } from '@aduana/testkit/database'
import { settleRuns } from './settle.ts'
import { stateOf } from './state.ts'
import { FIRST_DAY, type MetricWorld, REQUESTED_DAY } from './worlds.ts'

/** Promises that hold after every transaction, whatever runs concurrently: a name, and SQL that finds violations. */
const ALWAYS: Readonly<Record<string, string>> = {
  'two requested runs of one metric': `
    select m.code from metric_runs r join metrics m on m.id = r.metric_id
    where r.status in ('REQUESTED', 'RUNNING', 'TIMED_OUT') group by m.code having count(*) > 1`,
  'a run that was not requested exactly once for each attempt': `
    select r.id || ' ' || r.status || ' ' || r.attempt from metric_runs r
    where array(select generate_series(1, r.attempt)) <> array(
      select (e.body -> 'data' ->> 'attempt')::integer from event_log e
      where e.type = 'aduana.metric_run.requested' and e.outbound and e.body -> 'data' ->> 'runId' = r.id::text order by 1)`,
  'a request in the outbox without a run': `
    select e.event_key from event_log e where e.type = 'aduana.metric_run.requested'
      and not exists (select from metric_runs r where r.id::text = e.body -> 'data' ->> 'runId')`,
  'a run that has ended without its event': `
    select r.id || ' ' || r.status from metric_runs r where r.completed_at is not null
      and not exists (select from event_log e where e.event_key = r.id || ':' || r.attempt || ':' || lower(r.status))`,
  'an event of another ending than that of the run': `
    select e.event_key || ' ' || r.status from metric_runs r
      cross join (values ('succeeded'), ('failed'), ('expired'), ('cancelled')) as k(kind)
      join event_log e on e.event_key = r.id || ':' || r.attempt || ':' || k.kind where upper(k.kind) <> r.status`,
  'an event of a second ending': `
    select r.id || ' ' || r.status from metric_runs r join event_log e
      on e.event_key ~ ('^' || r.id || ':[0-9]+:(succeeded|cancelled)$')
    where e.event_key <> r.id || ':' || r.attempt || ':' || lower(r.status)`,
  'a running run of a known runner without a started event': `
    select r.id::text from metric_runs r where r.status = 'RUNNING' and r.runner is not null
      and not exists (select from event_log e where e.event_key = r.id || ':' || r.attempt || ':started')`,
  'a value of a run that did not succeed': `
    select v.metric_name || ' ' || v.date from daily_metrics v left join metric_runs r on r.id = v.run_id
    where r.status is distinct from 'SUCCEEDED'`,
  'a pending run without missing inputs that is not requested': `
    with recursive moving as (
      select r.metric_id from metric_runs r where r.completed_at is null and not exists (
        select from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null)
    ), above as (
      select d.metric_id from moving join metric_dependencies d on d.needs_metric_id = moving.metric_id
      union select d.metric_id from above join metric_dependencies d on d.needs_metric_id = above.metric_id
    )
    select r.id::text from metric_runs r where r.status = 'PENDING'
      and not exists (select from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null)
      and not exists (select from above where above.metric_id = r.metric_id)
      and not exists (select from metric_runs o where o.metric_id = r.metric_id
        and o.status in ('REQUESTED', 'RUNNING', 'TIMED_OUT'))`,
  'a run that waits for a dataset with an update': `
    select r.id || ' ' || u.event_key from metric_runs r
      join metric_run_pending_datasets p on p.run_id = r.id and p.satisfied_by is null
      join dataset_updates u on u.dataset_id = p.dataset_id and u.fanned_out_at is not null
    where r.status = 'PENDING' and u.occurred_at between r.occurred_at - p.required_days * interval '24 hours'
      and r.occurred_at + p.required_days * interval '24 hours'`,
  'an open run of a retired metric': `
    select r.id || ' ' || r.status from metric_runs r join metrics m on m.id = r.metric_id
    where r.completed_at is null and m.retired_at is not null`,
  'an update without a run of a metric that needs it': `
    select m.code || ' ' || u.event_key from dataset_updates u join dataset_series s using (dataset_id)
      join metric_dependencies d on d.series_id = s.series_id join metrics m on m.id = d.metric_id
    where u.fanned_out_at is not null and not exists (select from run_dataset_updates i
      join metric_runs r on r.id = i.run_id where i.update_id = u.id and r.metric_id = d.metric_id
        and coalesce(case when i.for_next then r.next_days else r.days end @> u.days, false))`,
  'an external run with other days than its request': `
    select r.id || ' ' || r.days::text from metric_runs r join event_log e on e.event_key = r.id || ':' || r.attempt || ':requested'
    where r.status in ('REQUESTED', 'RUNNING') and e.body -> 'data' ->> 'runner' = 'external' and r.days <> (
      select range_agg(daterange((d ->> 'from')::date, (d ->> 'to')::date))
      from jsonb_array_elements(e.body -> 'data' -> 'days') d)`,
}

const EVERY_PROMISE = Object.entries(ALWAYS)
  .map(([broken, sql]) => `select '${broken}: ' || p.place as what from (${sql}) p(place)`)
  .join(' union all ')

/**
 * SQL that finds days that should have been computed once everything has settled, and were not: those of updates, of
 * requested recomputations, of a changed definition, and of changed inputs. `$1`: the claims of built-in runners; `$2`: the
 * requested days, with the expression that they need, if that matters. Cancelled runs and retired metrics are left out.
 */
const NOT_COMPUTED = `
  with requested as (
    select * from jsonb_to_recordset($1::jsonb) as c(run_id uuid, attempt integer, days datemultirange, expression jsonb)
    union all
    select (e.body -> 'data' ->> 'runId')::uuid, (e.body -> 'data' ->> 'attempt')::integer, (
        select range_agg(daterange((d ->> 'from')::date, (d ->> 'to')::date))
        from jsonb_array_elements(e.body -> 'data' -> 'days') d), e.body -> 'data' -> 'expression'
    from event_log e where e.type = 'aduana.metric_run.requested' and e.body -> 'data' ->> 'runner' = 'external'
  ), computed as (
    select r.metric_id, a.days, a.expression from requested a join metric_runs r on r.id = a.run_id
    where exists (select from event_log e where e.event_key = a.run_id || ':' || a.attempt || ':succeeded')
  ), wanted as (
    select d.metric_id, u.days, null::jsonb as expression, 'the update ' || u.event_key as what
    from dataset_updates u join dataset_series s using (dataset_id) join metric_dependencies d on d.series_id = s.series_id
    union all
    select d.metric_id, r.output_days, null, 'values of ' || r.id
    from metric_runs r join metric_dependencies d on d.needs_metric_id = r.metric_id
    where r.status = 'SUCCEEDED' and not isempty(r.output_days)
    union all
    select m.id, w.days, w.expression, w.what
    from jsonb_to_recordset($2::jsonb) as w(days datemultirange, expression jsonb, what text) join metrics m on m.code = 'low'
  )
  select m.code || ' has not computed ' || w.what as what from wanted w join metrics m on m.id = w.metric_id
  where m.retired_at is null
    and not exists (select from computed c where c.metric_id = w.metric_id and c.days @> w.days
      and c.expression = coalesce(w.expression, c.expression))
    and not exists (select from metric_runs r where r.metric_id = w.metric_id and r.status = 'CANCELLED' and r.days @> w.days)`

/** Whether a recomputation was requested and a definition changed. */
export interface RequestedChanges {
  recomputed: boolean
  saved: boolean
}

/**
 * Returns the promises that are broken in an idle database, then those that are broken once everything has settled. States
 * that differ only in ids and times settle in the same way: those in `settled` are skipped, and this one is added.
 */
export async function brokenMetricPromises(
  database: TestDatabase,
  world: MetricWorld,
  requested: RequestedChanges,
  settled: Set<string>,
): Promise<string[]> {
  const broken = await brokenNow(database)
  const twice = world.sent.filter((key, index) => world.sent.indexOf(key) < index)
  broken.push(...twice.map((key) => `sent twice: ${key}`))
  const state = await stateOf(database, world, requested)
  if (settled.has(state)) return broken
  settled.add(state)
  const stuck = await settleRuns(database, world)
  const afterwards = [
    ...stuck,
    ...(await brokenNow(database)),
    ...(await notComputed(database, world, requested)),
  ]
  return [...broken, ...afterwards.map((what) => `once everything has settled: ${what}`)]
}

async function brokenNow({ pool }: TestDatabase): Promise<string[]> {
  return (await pool.query<{ what: string }>(EVERY_PROMISE)).rows.map(({ what }) => what)
}

async function notComputed(
  { pool }: TestDatabase,
  { begun }: MetricWorld,
  { recomputed, saved }: RequestedChanges,
): Promise<string[]> {
  const read = begun.map(({ runId, attempt, days, definition }) => ({
    run_id: runId,
    attempt,
    days: `{${days.map(({ from, to }) => `[${from},${to})`).join(',')}}`,
    expression: definition.expression,
  }))
  const dayOf = (day: string) => `{[${day},${day}]}`
  const current = await pool.query<{ expression: unknown }>(
    `select v.expression_json as expression from metrics m join metric_versions v on v.metric_id = m.id and v.version = m.current_version
     where m.code = 'low'`,
  )
  const wanted = [
    ...(recomputed ? [{ days: dayOf(REQUESTED_DAY), what: 'the requested days' }] : []),
    ...(saved
      ? [{ days: dayOf(FIRST_DAY), expression: current.rows[0]?.expression, what: 'its new definition' }]
      : []),
  ]
  const found = await pool.query<{ what: string }>(NOT_COMPUTED, [
    JSON.stringify(read),
    JSON.stringify(wanted),
  ])
  return found.rows.map(({ what }) => what)
}
