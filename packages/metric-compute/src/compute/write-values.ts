import type { DayRange } from '@aduana/contracts/dates'
import type { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { expressionsIn } from '../expressions/walk.ts'
import type { SeriesPlaces } from '../series-place.ts'
import type { Sums } from './metric-values.ts'
import type { PlannedRun } from './plan.ts'
import type { Session } from './session.ts'
import { multirange } from './sql-text.ts'

/** What a run changed. */
export interface RunResult {
  /** Values that are new or different. Equal values keep the run that wrote them. */
  rows: number
  /** Values that were removed. */
  removed: number
  /** The days, companies and warehouses of both; null where the grain has no companies, or warehouses. */
  days: DayRange[]
  companies: string[] | null
  warehouses: string[] | null
}

/** The result of a run that changed nothing. */
export const NO_CHANGE: RunResult = { rows: 0, removed: 0, days: [], companies: [], warehouses: [] }

/** Creates the table of the runs, with the values that each may write. Returns its name. */
export async function createRunTable(
  session: Session,
  runs: readonly PlannedRun[],
  sums: readonly Sums[],
): Promise<string> {
  const table = await session.materialize(
    'select null::integer as run, null::uuid as run_id, null::text as metric, null::datemultirange as days, null::text[] as companies, null::text[] as warehouses, null::boolean as sums_companies, null::boolean as sums_warehouses limit 0',
  )
  const rows = runs.map((run, at) => ({
    run: run.index,
    run_id: run.runId,
    metric: run.definition.code,
    days: multirange(run.output).split("'")[1],
    companies: run.companies,
    warehouses: run.warehouses,
    sums_companies: sums[at]?.companies ?? false,
    sums_warehouses: sums[at]?.warehouses ?? false,
  }))
  await session.run(`insert into ${table} select * from json_populate_recordset(null::${table}, $1)`, [
    JSON.stringify(rows),
  ])
  await session.run(`analyze ${table}`)
  return table
}

/**
 * Returns whether values of a metric combine companies or warehouses. This follows from its datasets, its input
 * metrics and its grain.
 */
export function sumsOf(
  { grain, expression }: MetricDefinition,
  places: SeriesPlaces,
  inputSums: ReadonlyMap<string, Sums>,
): Sums {
  const inputs = expressionsIn(expression).flatMap(({ node }): Sums[] => {
    if (node.type === 'metric') return [inputSums.get(node.metric) ?? { companies: false, warehouses: false }]
    if (node.type !== 'aggregate') return []
    const scope = places.get(node.series)?.definition.scope
    return [{ companies: scope?.company !== undefined, warehouses: scope?.warehouse !== undefined }]
  })
  return {
    companies: grain === 'total' && inputs.some(({ companies }) => companies),
    warehouses: grain !== 'warehouse' && inputs.some(({ warehouses }) => warehouses),
  }
}

const SAME_CELL = `v.day = d.date and v.company is not distinct from d.company
  and v.warehouse is not distinct from d.warehouse`

/**
 * The largest absolute value that is stored. JSON numbers end at 1.8e308, and sums of many values are shown as
 * numbers, too.
 */
const MAX_VALUE = '1e300'

/**
 * Updates `daily_metrics` to the values of the runs, within their days and cells. Returns what each run changed, by
 * its number.
 * @throws Error when a value is beyond 1e300
 */
export async function writeValues(
  session: Session,
  work: string,
  values: string,
): Promise<Map<number, RunResult>> {
  const current = `${work} w join daily_metrics d on d.metric_name = w.metric
      and d.date >= lower(w.days) and d.date < upper(w.days) and d.date <@ w.days
      and (w.companies is null or d.company = any (w.companies))
      and (w.warehouses is null or d.warehouse = any (w.warehouses))`
  const gone = await session.materialize(
    `select w.run, d.date as day, d.company, d.warehouse, d.ctid as place from ${current}
      where not exists (select from ${values} v where v.run = w.run and ${SAME_CELL})`,
  )
  const fresh = await session.materialize(
    `select v.*, w.metric, w.run_id, w.sums_companies, w.sums_warehouses, d.ctid as place
      from ${values} v join ${work} w using (run)
        left join daily_metrics d on d.metric_name = w.metric and ${SAME_CELL}
      where d.metric_name is null or d.value <> v.value
        or d.sums_companies <> w.sums_companies or d.sums_warehouses <> w.sums_warehouses`,
    ['run', 'place'],
  )
  await session.run(`delete from daily_metrics d using ${gone} g where d.ctid = g.place`)
  // The metrics are locked, so no other transaction inserts these values.
  await session.run(`update daily_metrics d set value = f.value, run_id = f.run_id, last_updated = now(),
      sums_companies = f.sums_companies, sums_warehouses = f.sums_warehouses
    from ${fresh} f where d.ctid = f.place`)
  await session.run(`insert into daily_metrics
      (date, metric_name, value, company, warehouse, run_id, sums_companies, sums_warehouses)
    select day, metric, value, company, warehouse, run_id, sums_companies, sums_warehouses from ${fresh}
    where place is null order by metric, day, company, warehouse`)
  const { beyond, results } = await resultsOf(session, gone, fresh)
  if (beyond) throw new Error(await overflowMessage(session, fresh))
  return results
}

async function overflowMessage(session: Session, fresh: string): Promise<string> {
  const { rows } = await session.run<{ text: string }>(
    `select format('The value of %s on %s%s has %s digits before the point; values may be at most ${MAX_VALUE}. Divide the value, or use a larger unit.',
        metric, day, concat(' for ' || company, ' / ' || warehouse), length(trunc(abs(value))::text)) as text
      from ${fresh} where abs(value) > ${MAX_VALUE} order by metric, day, company, warehouse limit 1`,
  )
  return rows[0]?.text ?? `A value is above ${MAX_VALUE}. Divide the value, or use a larger unit.`
}

async function resultsOf(
  session: Session,
  gone: string,
  fresh: string,
): Promise<{ results: Map<number, RunResult>; beyond: boolean }> {
  const { rows } = await session.run<RunResult & { run: number; beyond: boolean | null }>(
    `select run, (count(*) filter (where fresh))::integer as rows, (count(*) filter (where not fresh))::integer as removed,
      (select json_agg(json_build_object('from', lower(r)::text, 'to', upper(r)::text) order by r)
        from unnest(range_agg(daterange(day, day, '[]'))) r) as days,
      array_agg(distinct company) filter (where company is not null) as companies,
      array_agg(distinct warehouse) filter (where warehouse is not null) as warehouses,
      bool_or(abs(value) > ${MAX_VALUE}) as beyond
    from (select run, day, company, warehouse, value, true as fresh from ${fresh}
      union all select run, day, company, warehouse, null, false from ${gone}) changed
    group by run`,
  )
  return {
    results: new Map(rows.map(({ run, beyond: _, ...result }) => [run, result])),
    beyond: rows.some(({ beyond }) => beyond),
  }
}
