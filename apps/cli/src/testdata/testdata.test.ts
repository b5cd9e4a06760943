import { startApi, type TestApi } from '@aduana/testkit/api'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EXIT } from '../exit-codes.ts'
import { runCaptured } from '../testing/run-captured.ts'

let system: TestSystem
let api: TestApi
beforeAll(async () => {
  system = await createTestSystem({ workers: 1, metrics: true })
  api = await startApi(system)
}, 120_000)
afterAll(async () => {
  await api.process.stop()
  await system.close()
})

async function aduana(...args: string[]): Promise<{ code: number; said: string }> {
  const { code, out, err } = await runCaptured(args, {
    env: { ADUANA_URL: api.url, ADUANA_TOKEN: api.token },
    signal: AbortSignal.timeout(200_000),
  })
  return { code, said: `${out}${err}` }
}

const count = async (sql: string) => Number((await system.database.pool.query(sql)).rows[0]?.count)

test('test data are files of two datasets with errors, and the values of their metrics', {
  timeout: 240_000,
}, async () => {
  const { code, said } = await aduana('testdata', '--files', '1', '--rows', '2000')
  expect(said).toMatch(/production, .*: COMPLETED, 1,9\d\d loaded, \d+ quarantined, \d+ duplicates/)
  expect(said).toMatch(/orders, .*: COMPLETED/)
  expect(code).toBe(EXIT.loaded)
  expect(await count(`select count(*) from imports where not starts_with(file_name, 'testdata-')`)).toBe(0)
  expect(await count('select count(*) from quarantined_records')).toBeGreaterThan(20)
  for (const metric of ['orders.orders', 'production.pieces'])
    expect(await count(`select count(*) from daily_metrics where metric_name = '${metric}'`)).toBeGreaterThan(
      50,
    )
})

test('many updates are reported over HTTP, and none of them leaves a run open', {
  timeout: 240_000,
}, async () => {
  const before = await count('select count(*) from dataset_updates')
  const { code, said } = await aduana('testdata', '--files', '0', '--events', '60')
  expect(said).toMatch(/60 events in [\d.]+ s: \d+ events\/s/)
  expect(said).toMatch(/runs of metrics: .*SUCCEEDED; settled [\d.]+ s later/)
  expect(code).toBe(EXIT.loaded)
  expect(await count('select count(*) from dataset_updates')).toBe(before + 60)
  expect(await count(`select count(*) from metric_runs where status in ('REQUESTED', 'RUNNING')`)).toBe(0)
})
