import { registerShippedMetrics } from '@aduana/metrics/shipped/shipped'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPipeline, type TestPipeline } from '../testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline()
  await registerShippedMetrics(pipeline.system.database.db)
})
afterAll(() => pipeline.close())

const HEADER = 'order_id;timestamp;items_count;company;warehouse;source_modified_timestamp'
const order = (id: string, moment: string, modified: string, company = 'North') =>
  `${id};${moment};3;${company};W1;${modified}`
const load = async (...rows: string[]) => {
  const job = await pipeline.import(`${[HEADER, ...rows].join('\n')}\n`, { dataset: 'orders' })
  expect(job.status).toBe('COMPLETED')
  const { pool } = pipeline.system.database
  const updates = await pool.query(
    `select days::text, companies, warehouses, rows::int, fanned_out_at is not null as passed from dataset_updates
     where job_id = $1`,
    [job.id],
  )
  return updates.rows[0]
}
const runs = async () =>
  (
    await pipeline.system.database.pool.query(
      `select m.code, r.status, r.days::text, r.companies from metric_runs r join metrics m on m.id = r.metric_id
       order by m.code, r.created_at`,
    )
  ).rows

test('a load causes runs of the metrics of its dataset, for the days and companies that it changed', async () => {
  const first = await load(
    order('A', '2024-05-01 10:00:00', '2024-05-01 10:00:00'),
    order('B', '2024-05-03 23:30:00', '2024-05-03 10:00:00', 'South'),
  )
  const days = '{[2024-05-01,2024-05-02),[2024-05-03,2024-05-04)}'
  const companies = ['North', 'South']
  expect(first).toEqual({ days, companies, warehouses: ['W1'], rows: 2, passed: true })
  const asked = await runs()
  expect(asked).toContainEqual({ code: 'orders.orders', status: 'REQUESTED', days, companies })
  // Metrics of metrics follow when these are done; those of production have nothing to do.
  expect(asked.map(({ code }) => code)).not.toContain('orders.items_per_order')
  expect(asked.filter(({ code }) => String(code).startsWith('production.'))).toEqual([])
})

test('a row that moves changes both days; one that is sent again changes none', async () => {
  const moved = [
    order('A', '2024-06-01 10:00:00', '2024-05-02 10:00:00'),
    order('B', '2024-05-03 23:30:00', '2024-05-03 10:00:00', 'South'),
  ]
  const days = '{[2024-05-01,2024-05-02),[2024-06-01,2024-06-02)}'
  expect(await load(...moved)).toMatchObject({ days, companies: ['North'], rows: 1 })
  const before = await runs()
  expect(await load(...moved)).toMatchObject({ days: '{}', companies: [], rows: 0, passed: true })
  expect(await runs()).toEqual(before)
})

test('a declared window changes the days that it fills and those that it empties', async () => {
  const header = 'fecha;maquina;maquinista;turno;lote;cantidad;peso'
  const row = (day: string, lot: string) => `${day};M001;W0001;1;${lot};1;1`
  const file = (...rows: string[]) => `${[header, ...rows].join('\n')}\n`
  await pipeline.import(file(row('2024-01-03', 'A'), row('2024-01-20', 'B')), { dataset: 'production' })
  const window = { dataset: 'production', from: '2024-01-01', to: '2024-02-01' }
  const job = await pipeline.import(file(row('2024-01-03', 'A'), row('2024-01-05', 'C')), window)
  expect(job.status).toBe('COMPLETED')
  const updates = await pipeline.system.database.pool.query(
    'select days::text, companies from dataset_updates where job_id = $1',
    [job.id],
  )
  const days = '{[2024-01-03,2024-01-04),[2024-01-05,2024-01-06),[2024-01-20,2024-01-21)}'
  expect(updates.rows).toEqual([{ days, companies: null }])
})
