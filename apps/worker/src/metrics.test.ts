import { inTransaction } from '@aduana/db/database'
import { saveMetrics } from '@aduana/metrics/registry/metrics'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { metricsOf, productionFile } from './testing/metrics.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

let system: TestSystem
let metrics: ReturnType<typeof metricsOf>
beforeAll(async () => {
  system = await createTestSystem({ workers: 2, metrics: true })
  metrics = metricsOf(system)
})
afterAll(() => system.close())

async function load(dataset: string, content: string, form: Record<string, string> = {}) {
  const job = await system.import(content, { dataset, ...form })
  expect(job.status).toBe('COMPLETED')
  await metrics.settled()
  expect(await metrics.query(`select error from metric_runs where status <> 'SUCCEEDED'`)).toEqual([])
  return job
}

test('a load updates the metrics without further action', async () => {
  const file = productionFile(
    ['2024-01-01', 5],
    ['2024-01-01', 7],
    ['2024-01-02', 11],
    ['2024-02-10', 2, 3.5],
  )
  await load('production', file)
  const pieces = { '2024-01-01': 12, '2024-01-02': 11, '2024-02-10': 2 }
  expect(await metrics.values('production.pieces')).toEqual(pieces)
  expect(await metrics.productionDifferences()).toEqual([])
})

test('a later load of some of the days, and its undo, update them', async () => {
  const before = await metrics.query('select metric_name, date, value from daily_metrics order by 1, 2')
  const second = await load('production', productionFile(['2024-01-02', 1], ['2024-01-03', 2]))
  const pieces = { '2024-01-01': 12, '2024-01-02': 1, '2024-01-03': 2, '2024-02-10': 2 }
  expect(await metrics.values('production.pieces')).toEqual(pieces)
  expect(await metrics.productionDifferences()).toEqual([])
  expect((await undone(system, second.id)).status).toBe('COMPLETED')
  await metrics.settled()
  expect(await metrics.query('select metric_name, date, value from daily_metrics order by 1, 2')).toEqual(
    before,
  )
})

const ORDERS = 'order_id;timestamp;items_count;customer_id;company;warehouse;source_modified_timestamp'
const orders = (...rows: string[]) => `${[ORDERS, ...rows].join('\n')}\n`

test('an order that moves to another day and warehouse updates the metrics of both', async () => {
  await load(
    'orders',
    orders(
      'A;2024-05-01 10:00:00;3;C1;North;W1;2024-05-01 10:00:00',
      'B;2024-05-01 23:30:00;4;C2;North;W2;2024-05-01 10:00:00',
      'C;2024-05-02 11:00:00;5;C1;South;W1;2024-05-01 10:00:00',
    ),
  )
  expect(await metrics.ordersDifferences()).toEqual([])
  await load('orders', orders('B;2024-05-03 09:00:00;4;C2;South;W1;2024-05-02 10:00:00'))
  expect(await metrics.values('orders.items')).toEqual({
    '2024-05-01 North W1': 3,
    '2024-05-02 South W1': 5,
    '2024-05-03 South W1': 4,
  })
  expect(await metrics.ordersDifferences()).toEqual([])
  expect(await metrics.values('orders.orders_7_days')).toMatchObject({ '2024-05-03 South W1': 2 })
})

test('a metric over a window also updates on days that only the window reaches', async () => {
  const above = { type: 'metric', metric: 'orders.orders_7_days' }
  const title = { en: 'Above', es: 'Encima' }
  await inTransaction(system.database.db, (tx) =>
    saveMetrics(tx, [{ code: 'orders.above', title, grain: 'warehouse', expression: above }], null),
  )
  await metrics.settled()
  const before = await metrics.values('orders.above')
  expect(before).toEqual(await metrics.values('orders.orders_7_days'))
  expect(before).not.toHaveProperty('2024-05-04 North W1')
  await load('orders', orders('D;2024-05-04 09:00:00;4;C2;South;W1;2024-05-02 10:00:00'))
  expect(await metrics.values('orders.above')).toMatchObject({ '2024-05-04 North W1': 1 })
  expect(await metrics.values('orders.above')).toEqual(await metrics.values('orders.orders_7_days'))
})

test('repeated deliveries of requests to a queue that has lost them change nothing', async () => {
  const runs = () => metrics.query('select id, version, attempt, status from metric_runs order by id')
  const before = await runs()
  await system.redis.wipe()
  await metrics.query('update event_log set sent_at = null where outbound')
  await metrics.settled()
  const queue = `${system.redis.prefix}:7-metrics`
  await vi.waitUntil(
    async () => {
      const [done, waiting, active] = await Promise.all([
        system.redis.redis.zcard(`${queue}:completed`),
        system.redis.redis.llen(`${queue}:wait`),
        system.redis.redis.llen(`${queue}:active`),
      ])
      return done === before.length && waiting === 0 && active === 0
    },
    { timeout: 60_000, interval: 50 },
  )
  expect(await runs()).toEqual(before)
})

test('a metric that cannot be computed fails alone, with the reason, and the others are updated', async () => {
  await metrics.query(
    `alter table daily_metrics add constraint no_more_lots check (metric_name <> 'production.lots' or value < 2)
     not valid`,
  )
  const job = await system.import(productionFile(['2024-03-01', 1], ['2024-03-01', 2]), {
    dataset: 'production',
  })
  expect(job.status).toBe('COMPLETED')
  await metrics.settled()
  expect(
    await metrics.query(
      `select m.code, r.error from metric_runs r join metrics m on m.id = r.metric_id where r.status <> 'SUCCEEDED'`,
    ),
  ).toEqual([
    {
      code: 'production.lots',
      error: { code: 'computation_failed', detail: expect.stringContaining('no_more_lots') },
    },
  ])
  expect(await metrics.productionDifferences()).toEqual([])
})
