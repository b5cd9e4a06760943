import type pg from 'pg'
import { SCENARIO_METRICS } from './scenario-metrics.ts'

interface WaitingRun {
  id: string
  metric: string
  status: string
  occurred_at: Date
  completed_at: Date | null
  missing: string[]
}

interface Update {
  dataset: string
  occurred_at: Date
  fanned_out_at: Date
}

const DAY_MS = 86_400_000
/** A run that expires while an update is being fanned out may or may not have received it. */
const FAN_OUT_MS = 2000

const METRICS = new Map(SCENARIO_METRICS.map((metric) => [metric.definition.code, metric]))

/**
 * Returns the pending and expired runs with wrong missing inputs. The right ones are the datasets of the metric, as
 * scenario-metrics.ts lists them, without an update within the required days of the run's change.
 */
export async function wrongMissingInputs(pool: pg.Pool): Promise<string[]> {
  const runs = await pool.query<WaitingRun>(
    `select r.id, m.code as metric, r.status, r.occurred_at, r.completed_at,
       array(select d.code::text from metric_run_pending_datasets p join datasets d on d.id = p.dataset_id
         where p.run_id = r.id and p.satisfied_by is null order by 1) as missing
     from metric_runs r join metrics m on m.id = r.metric_id where r.status in ('PENDING', 'EXPIRED')`,
  )
  const updates = await pool.query<Update>(
    `select d.code as dataset, u.occurred_at, u.fanned_out_at
     from dataset_updates u join datasets d on d.id = u.dataset_id where u.fanned_out_at is not null`,
  )
  return runs.rows.flatMap((run) => {
    const metric = METRICS.get(run.metric)
    if (!metric) return [`${run.metric} waits for ${run.missing}, but has only one dataset`]
    const inTime = (dataset: string, before: number) =>
      updates.rows.some(
        (update) =>
          update.dataset === dataset &&
          update.fanned_out_at.getTime() < before &&
          Math.abs(update.occurred_at.getTime() - run.occurred_at.getTime()) <=
            (metric.definition.requiredDays ?? 7) * DAY_MS,
      )
    const end = run.completed_at?.getTime() ?? Number.POSITIVE_INFINITY
    const wrong = metric.over.filter((dataset) =>
      run.missing.includes(dataset) ? inTime(dataset, end - FAN_OUT_MS) : !inTime(dataset, end),
    )
    return wrong.length === 0 && run.missing.length > 0
      ? []
      : [
          `${run.status} ${run.metric} ${run.id} has the missing inputs ${run.missing}, which is wrong for ${wrong}`,
        ]
  })
}

/** Returns lost and duplicate runs. Call it when everything has settled and every run has succeeded. */
export async function lostOrDuplicateRuns(pool: pg.Pool): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(VIOLATIONS).map(async ([what, text]) =>
      (await pool.query<{ place: string }>(text)).rows.map(({ place }) => `${what}: ${place}`),
    ),
  )
  return found.flat()
}

/** The datasets that a metric aggregates directly, and whether it depends on nothing else. */
const DIRECT = `direct as (
    select m.id as metric_id, m.code, s.dataset_id, s.datasets = 1 and not s.above as alone
    from metrics m cross join lateral (
      select p.dataset_id, (select count(distinct n.dataset_id) from metric_dependencies n where n.metric_id = m.id) as datasets,
        exists (select from metric_dependencies n where n.metric_id = m.id and n.needs_metric_id is not null) as above
      from metric_dependencies n join dataset_series p on p.series_id = n.series_id
      where n.metric_id = m.id group by p.dataset_id
    ) s
  )`

const VIOLATIONS: Record<string, string> = {
  'an update that is not fanned out': `select event_key as place from dataset_updates where fanned_out_at is null`,
  'an update of a dataset without a run of a metric that needs it': `
    with ${DIRECT}
    select d.code || ' ' || u.event_key as place from direct d join dataset_updates u using (dataset_id)
    where not isempty(u.days) and not exists (
      select from run_dataset_updates i join metric_runs r on r.id = i.run_id
      where i.update_id = u.id and not i.for_next and r.metric_id = d.metric_id and r.status = 'SUCCEEDED' and r.days @> u.days)`,
  'an update with more than one run of a metric of one dataset': `
    with ${DIRECT}
    select d.code || ' ' || u.event_key || ': ' || count(*) as place
    from direct d join dataset_updates u using (dataset_id) join run_dataset_updates i on i.update_id = u.id
      join metric_runs r on r.id = i.run_id and r.metric_id = d.metric_id and r.status = 'SUCCEEDED'
    where d.alone group by d.code, u.event_key having count(*) > 1`,
  'a dependent metric without a run after a run of its dependency': `
    select m.code || ' ' || b.days::text as place
    from metric_runs b join metric_dependencies d on d.needs_metric_id = b.metric_id join metrics m on m.id = d.metric_id
    where b.status = 'SUCCEEDED' and not isempty(b.output_days) and not b.output_days <@ coalesce((
      select range_agg(a.days) from metric_runs a
      where a.metric_id = m.id and a.status = 'SUCCEEDED' and a.started_at >= b.completed_at), '{}')`,
  'more runs of a metric than causes': `
    select m.code || ': ' || count(*) || ' runs' as place from metrics m join metric_runs r on r.metric_id = m.id
    where r.status = 'SUCCEEDED' group by m.id, m.code
    having count(*) > (select count(distinct u.id) from metric_dependencies n
        join dataset_series p on p.series_id = n.series_id join dataset_updates u on u.dataset_id = p.dataset_id
        where n.metric_id = m.id and not isempty(u.days))
      + (select count(*) from metric_dependencies n join metric_runs b on b.metric_id = n.needs_metric_id
        where n.metric_id = m.id and b.status = 'SUCCEEDED')`,
  'a run that was not requested exactly once for each attempt, or succeeded more than once': `
    select m.code || ' ' || r.id as place from metric_runs r join metrics m on m.id = r.metric_id
    where r.attempt <> (select count(*) from event_log e where e.type = 'aduana.metric_run.requested' and e.outbound
        and e.body -> 'data' ->> 'runId' = r.id::text)
      or (r.status = 'SUCCEEDED')::integer <> (select count(*) from event_log e where e.type = 'metric_run.succeeded'
        and e.body ->> 'runId' = r.id::text)`,
  'a run that has not ended': `
    select m.code || ' ' || r.status as place from metric_runs r join metrics m on m.id = r.metric_id
    where r.status not in ('SUCCEEDED', 'EXPIRED') or (r.status = 'EXPIRED' and r.taken_over_by is null)`,
  'a value of a run that did not succeed': `
    select v.metric_name || ' ' || v.date as place from daily_metrics v left join metric_runs r on r.id = v.run_id
    where r.status is distinct from 'SUCCEEDED'`,
}
