import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterEach, expect, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

const WITHIN = 120_000
let system: TestSystem
afterEach(() => system.close())

const query = async (text: string, values: unknown[] = []) =>
  (await system.database.pool.query(text, values)).rows
/** All runs have ended and no request is on its way. */
const settled = () =>
  until(
    async () => {
      const [row] = await query(
        `select (select count(*) from metric_runs where status in ('REQUESTED', 'RUNNING', 'TIMED_OUT', 'PENDING'))
          + (select count(*) from event_log where outbound and sent_at is null) as open,
          (select count(*) from metric_runs) as runs`,
      )
      return row.runs !== '0' && row.open === '0'
    },
    { within: WITHIN, what: 'the metrics have settled' },
  )
const failures = () => query(`select error from metric_runs where status <> 'SUCCEEDED'`)
const values = (metric: string) =>
  query(`select date, value::float as value from daily_metrics where metric_name = $1 order by date`, [
    metric,
  ])

const PRODUCTION = 'fecha;maquina;maquinista;turno;lote;cantidad;peso'
const production = (...rows: [day: string, pieces: number, weight?: number][]) =>
  `${[PRODUCTION, ...rows.map(([day, pieces, weight = 1], at) => `${day};M00${at % 3};W0001;${(at % 3) + 1};L${at};${pieces};${weight}`)].join('\n')}\n`

/** What the shipped metrics of production are by plain SQL, beside what is stored; empty when all is equal. */
const productionDifferences = () =>
  query(`
    with days as (
      select fecha_contabilizacion as date, sum(cantidad)::numeric as pieces, sum(peso_neto)::numeric as weight,
        count(*)::numeric as records, count(distinct maquina_id)::numeric as machines
      from fact_production group by 1
    ), wanted as (
      select date, 'production.pieces' as metric_name, pieces as value from days
      union all select date, 'production.weight', weight from days
      union all select date, 'production.records', records from days
      union all select date, 'production.machines_active', machines from days
      union all select date, 'production.pieces_per_machine', pieces / machines from days
      union all select d.date, 'production.pieces_7_days',
        (select sum(pieces) from days w where w.date between d.date - 6 and d.date) from days d
      union all select d.date, 'production.pieces_year_to_date',
        (select sum(pieces) from days w where w.date between date_trunc('year', d.date) and d.date) from days d
    ), stored as (
      select date, metric_name, value from daily_metrics where metric_name in (select metric_name from wanted)
        or metric_name in ('production.pieces', 'production.weight', 'production.pieces_7_days')
    )
    select metric_name, date, w.value as wanted, s.value as stored from wanted w full join stored s using (date, metric_name)
    where w.value is null or s.value is null or abs(w.value - s.value) > 1e-9`)

test('a load makes numbers change by itself, and so do the next one and its undo', async () => {
  system = await createTestSystem({ workers: 1 })
  const first = await system.import(
    production(['2024-01-01', 5], ['2024-01-01', 7], ['2024-01-02', 11], ['2024-02-10', 2, 3.5]),
    { dataset: 'production' },
  )
  expect(first.status).toBe('COMPLETED')
  await settled()
  expect(await failures()).toEqual([])
  expect(await values('production.pieces')).toEqual([
    { date: '2024-01-01', value: 12 },
    { date: '2024-01-02', value: 11 },
    { date: '2024-02-10', value: 2 },
  ])
  expect(await productionDifferences()).toEqual([])
})
