import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'

const WITHIN = 120_000

/** An installation for tests of metrics. */
export function metricsOf(system: TestSystem) {
  const query = async (text: string, values: unknown[] = []) =>
    (await system.database.pool.query(text, values)).rows
  const untilTrue = (what: string, condition: string) =>
    until(async () => (await query(`select (${condition}) as yes`))[0]?.yes === true, {
      within: WITHIN,
      what,
    })
  return {
    query,
    /** Waits for a condition in SQL. */
    until: untilTrue,
    /** Waits until all runs have ended and all requests have been delivered. */
    settled: () =>
      untilTrue(
        'the metrics have settled',
        `exists (select from metric_runs)
          and not exists (select from metric_runs where status in ('REQUESTED', 'RUNNING', 'TIMED_OUT', 'PENDING'))
          and not exists (select from event_log where outbound and sent_at is null)`,
      ),
    /** Returns the number of runs by state and number of attempts. */
    tally: async () =>
      Object.fromEntries(
        (
          await query(
            `select status || ' ' || attempt as state, count(*)::int as runs from metric_runs group by 1 order by 1`,
          )
        ).map(({ state, runs }) => [state, runs]),
      ),
    values: async (metric: string) =>
      Object.fromEntries(
        (
          await query(
            `select concat_ws(' ', date, company, warehouse) as cell, value::float from daily_metrics
             where metric_name = $1 order by 1`,
            [metric],
          )
        ).map(({ cell, value }) => [cell, value]),
      ),
    productionDifferences: () => query(PRODUCTION),
    /** Whose days are those of a time zone. */
    ordersDifferences: (zone = 'America/Bogota') => query(ORDERS.replaceAll('America/Bogota', zone)),
  }
}

/** Returns the expected and stored values that differ. */
const differences = (wanted: string) => `
  with ${wanted}, stored as (
    select metric_name, date, company, warehouse, value from daily_metrics
    where metric_name in (select metric_name from names)
  )
  select coalesce(w.metric_name, s.metric_name) as metric, coalesce(w.date, s.date) as date, s.company, s.warehouse,
    w.value as wanted, s.value as stored
  from wanted w full join stored s on s.metric_name = w.metric_name and s.date = w.date
    and s.company is not distinct from w.company and s.warehouse is not distinct from w.warehouse
  where w.value is null or s.value is null or abs(w.value - s.value) > 1e-9`

const PRODUCTION = differences(`days as (
    select fecha_contabilizacion as date, sum(cantidad)::numeric as pieces, sum(peso_neto)::numeric as weight,
      count(*)::numeric as records, count(distinct maquina_id)::numeric as machines
    from fact_production group by 1
  ), names as (
    select unnest(array['pieces', 'weight', 'records', 'machines_active', 'pieces_per_machine', 'pieces_7_days',
      'pieces_year_to_date']) as name
  ), wanted as (
    select 'production.' || name as metric_name, date, null::text as company, null::text as warehouse, case name
      when 'pieces' then pieces when 'weight' then weight when 'records' then records
      when 'machines_active' then machines when 'pieces_per_machine' then pieces / machines
      when 'pieces_7_days' then (select sum(w.pieces) from days w where w.date between d.date - 6 and d.date)
      else (select sum(w.pieces) from days w where w.date between date_trunc('year', d.date) and d.date) end as value
    from days d, names
  )`).replaceAll('metric_name from names', `'production.' || name from names`)

const ORDERS = differences(`cells as (
    select (timestamp at time zone 'America/Bogota')::date as date, company, warehouse, count(*)::numeric as orders,
      sum(items_count)::numeric as items, count(distinct customer_id)::numeric as customers
    from order_detail group by 1, 2, 3
  ), names as (select unnest(array['orders', 'items', 'customers', 'items_per_order']) as name
  ), wanted as (
    select 'orders.' || name as metric_name, date, company, warehouse, case name when 'orders' then orders
      when 'items' then items when 'customers' then customers else items / orders end as value
    from cells, names
  )`).replaceAll('metric_name from names', `'orders.' || name from names`)

const PRODUCTION_HEADER = 'fecha;maquina;maquinista;turno;lote;cantidad;peso'

/** Returns a file of production with one row for each given day and number of pieces. */
export function productionFile(...rows: [day: string, pieces: number, weight?: number][]): string {
  const lines = rows.map(
    ([day, pieces, weight = 1], at) =>
      `${day};M00${at % 3};W0001;${(at % 3) + 1};L${at};${pieces};${String(weight).replace('.', ',')}`,
  )
  return `${[PRODUCTION_HEADER, ...lines].join('\n')}\n`
}
