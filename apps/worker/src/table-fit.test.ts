import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { productionFile } from './testing/metrics.ts'

vi.setConfig({ testTimeout: 120_000 })

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem()
})
afterAll(() => system.close())

const ORDERS = `order_id,timestamp,items_count,company,warehouse,source_modified_timestamp
1,2026-03-01T00:30:00-05:00,1,A,N,2026-03-20T00:00:00Z
`

test('a changed table blocks the imports of its dataset only, until it is repaired', async () => {
  const { pool } = system.database
  await pool.query('alter table order_detail rename column items_count to items')
  const worker = await system.startWorker()
  expect(worker.lines.join('\n')).toContain('"event":"datasets.do_not_fit","dataset":"orders"')
  expect(await system.import(productionFile(['2026-03-01', 5]), { dataset: 'production' })).toMatchObject({
    status: 'COMPLETED',
    counts: { loaded: 1 },
  })

  const refused = await system.import(ORDERS, { dataset: 'orders' })
  expect(refused).toMatchObject({ status: 'FAILED', error: { code: 'table_differs', stage: 'validate' } })
  expect(refused.error?.detail).toContain('items_count')

  await pool.query('alter table order_detail rename column items to items_count')
  await retryJob(system.database.db, system.admin, refused.id)
  expect(await system.finished(refused.id)).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 } })
})

test('a missing dimension table is named', async () => {
  const { pool } = system.database
  await pool.query('alter table dim_maquinista rename to dim_maquinista_old')
  const refused = await system.import(productionFile(['2026-03-02', 5]), { dataset: 'production' })
  expect(refused).toMatchObject({ status: 'FAILED', error: { code: 'table_differs' } })
  expect(refused.error?.detail).toContain('dim_maquinista')
})
