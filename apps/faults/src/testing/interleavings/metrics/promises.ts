import type { TestDatabase } from '@aduana/testkit/database'
import { settleRuns } from './settle.ts'
import { stateOf } from './state.ts'
import { ASKED_DAY, FIRST_DAY, type MetricWorld } from './worlds.ts'

/** Promises that hold after every transaction, whatever runs concurrently: a name, and SQL that finds violations. */
const ALWAYS: Readonly<Record<string, string>> = {
  'two runs of a metric with runners at once': `
    select m.code from metric_runs r join metrics m on m.id = r.metric_id
    where r.status in ('REQUESTED', 'RUNNING', 'TIMED_OUT') group by m.code having count(*) > 1`,
  'a run that was not asked for exactly once for each attempt': `
    select r.id || ' ' || r.status || ' ' || r.attempt from metric_runs r
    where array(select generate_series(1, r.attempt)) <> array(
      select (e.body -> 'data' ->> 'attempt')::integer from event_log e
      where e.type = 'aduana.metric_run.requested' and e.outbound and e.body -> 'data' ->> 'runId' = r.id::text order by 1)`,
  'a request in the outbox of no run': `
    select e.event_key from event_log e where e.type = 'aduana.metric_run.requested'
      and not exists (select from metric_runs r where r.id::text = e.body -> 'data' ->> 'runId')`,
  'a run that has ended without its event': `
    select r.id || ' ' || r.status from metric_runs r where r.completed_at is not null
      and not exists (select from event_log e where e.event_key = r.id || ':' || r.attempt || ':' || lower(r.status))`,
  'an event of an ending that the run does not have': `
    select e.event_key || ' ' || r.status from metric_runs r
      cross join (values ('succeeded'), ('failed'), ('expired'), ('cancelled')) as k(kind)
      join event_log e on e.event_key = r.id || ':' || r.attempt || ':' || k.kind where upper(k.kind) <> r.status`,
  'an ending after the last one': `
    select r.id || ' ' || r.status from metric_runs r join event_log e
      on e.event_key ~ ('^' || r.id || ':[0-9]+:(succeeded|cancelled)$')
    where e.event_key <> r.id || ':' || r.attempt || ':' || lower(r.status)`,
  'a run of a known runner that was not told of': `
    select r.id::text from metric_runs r where r.status = 'RUNNING' and r.runner is not null
      and not exists (select from event_log e where e.event_key = r.id || ':' || r.attempt || ':started')`,
  'a value of a run that did not succeed': `
    select v.metric_name || ' ' || v.date from daily_metrics v left join metric_runs r on r.id = v.run_id
    where r.status is distinct from 'SUCCEEDED'`,
  'a run that waits for nothing and is not asked for': `
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
  'a run that waits for a dataset that has come': `
    select r.id || ' ' || u.event_key from metric_runs r
      join metric_run_pending_datasets p on p.run_id = r.id and p.satisfied_by is null
      join dataset_updates u on u.dataset_id = p.dataset_id and u.fanned_out_at is not null
    where r.status = 'PENDING' and u.occurred_at between r.occurred_at - p.required_days * interval '24 hours'
      and r.occurred_at + p.required_days * interval '24 hours'`,
  'an open run of a retired metric': `
    select r.id || ' ' || r.status from metric_runs r join metrics m on m.id = r.metric_id
    where r.completed_at is null and m.retired_at is not null`,
  'a change that no run of a metric has taken in': `
    select m.code || ' ' || u.event_key from dataset_updates u join dataset_series s using (dataset_id)
      join metric_dependencies d on d.series_id = s.series_id join metrics m on m.id = d.metric_id
    where u.fanned_out_at is not null and not exists (select from run_dataset_updates i
      join metric_runs r on r.id = i.run_id where i.update_id = u.id and r.metric_id = d.metric_id
        and coalesce(case when i.for_next then r.next_days else r.days end @> u.days, false))`,
  'a run that is outside for other days than it was asked for': `
    select r.id || ' ' || r.days::text from metric_runs r join event_log e on e.event_key = r.id || ':' || r.attempt || ':requested'
    where r.status in ('REQUESTED', 'RUNNING') and e.body -> 'data' ->> 'runner' = 'external' and r.days <> (
      select range_agg(daterange((d ->> 'from')::date, (d ->> 'to')::date))
      from jsonb_array_elements(e.body -> 'data' -> 'days') d)`,
}

const EVERY_PROMISE = Object.entries(ALWAYS)
  .map(([broken, sql]) => `select '${broken}: ' || p.place as what from (${sql}) p(place)`)
  .join(' union all ')

/**
 * SQL: what should have been computed once all is settled, and was not: the days of each update, of each requested
 * recompute, of a changed definition, and of changed inputs. `$1`: what built-in runners read when they began; `$2`: the
 * requested days, by the expression with which they were to be computed, if that matters. Cancelled runs and retired
 * metrics are left out.
 */
const NOT_COMPUTED = `
  with asked as (
    select * from jsonb_to_recordset($1::jsonb) as c(run_id uuid, attempt integer, days datemultirange, expression jsonb)
    union all
    select (e.body -> 'data' ->> 'runId')::uuid, (e.body -> 'data' ->> 'attempt')::integer, (
        select range_agg(daterange((d ->> 'from')::date, (d ->> 'to')::date))
        from jsonb_array_elements(e.body -> 'data' -> 'days') d), e.body -> 'data' -> 'expression'
    from event_log e where e.type = 'aduana.metric_run.requested' and e.body -> 'data' ->> 'runner' = 'external'
  ), computed as (
    select r.metric_id, a.days, a.expression from asked a join metric_runs r on r.id = a.run_id
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
  select m.code || ' does not know ' || w.what as what from wanted w join metrics m on m.id = w.metric_id
  where m.retired_at is null
    and not exists (select from computed c where c.metric_id = w.metric_id and c.days @> w.days
      and c.expression = coalesce(w.expression, c.expression))
    and not exists (select from metric_runs r where r.metric_id = w.metric_id and r.status = 'CANCELLED' and r.days @> w.days)`

/** Recomputes that were requested and accepted. */
export interface Asked {
  recomputed: boolean
  saved: boolean
}

/**
 * Returns the promises that are broken in a database at rest. Then settles everything and adds what still hangs or is lost.
 * States that differ only in ids and times settle in the same way: those in `settled` are skipped, and this one is added.
 */
export async function brokenMetricPromises(
  database: TestDatabase,
  world: MetricWorld,
  asked: Asked,
  settled: Set<string>,
): Promise<string[]> {
  const broken = await brokenNow(database)
  const twice = world.sent.filter((key, index) => world.sent.indexOf(key) < index)
  broken.push(...twice.map((key) => `sent twice: ${key}`))
  const state = await stateOf(database, world, asked)
  if (settled.has(state)) return broken
  settled.add(state)
  const hanging = await settleRuns(database, world)
  const afterwards = [
    ...hanging,
    ...(await brokenNow(database)),
    ...(await notComputed(database, world, asked)),
  ]
  return [...broken, ...afterwards.map((what) => `when all is settled: ${what}`)]
}

async function brokenNow({ pool }: TestDatabase): Promise<string[]> {
  return (await pool.query<{ what: string }>(EVERY_PROMISE)).rows.map(({ what }) => what)
}

async function notComputed(
  { pool }: TestDatabase,
  { begun }: MetricWorld,
  { recomputed, saved }: Asked,
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
    ...(recomputed ? [{ days: dayOf(ASKED_DAY), what: 'the days that somebody asked for' }] : []),
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
