import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { stock, stockFile, TABLES } from '../testing/datasets.ts'
import { openPipeline, type TestPipeline } from '../testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline([stock], TABLES)
})
afterAll(() => pipeline.close())
afterEach(() => disarmFailPoints())

const locks = (jobId: string) =>
  pipeline.rows('select scope, days::text from window_locks where job_id = $1 order by scope', [jobId])
const validated = async (...rows: string[]) => {
  const id = await pipeline.accept(stockFile(...rows), { dataset: 'stock' })
  await pipeline.run(id, { last: 'quarantine' })
  return id
}
const load = (id: string) => pipeline.run(id, { from: 'load' })

test('a load claims, for each scope, the days from its first to its last', async () => {
  const id = await validated('2024-01-03,ACME,a,1', '2024-01-01,ACME,b,1', '2024-02-01,OTHER,a,1')
  let held: unknown
  armFailPoint('load.after-claim', async () => {
    held = await locks(id)
  })
  await load(id)
  expect(held).toEqual([
    { scope: 'ACME', days: '[2024-01-01,2024-01-04)' },
    { scope: 'OTHER', days: '[2024-02-01,2024-02-02)' },
  ])
  expect(await locks(id)).toEqual([])
})

test('a load that finds its window taken waits without a worker, and no loss is counted', async () => {
  const [first, second] = [await validated('2024-03-01,ACME,a,1'), await validated('2024-03-01,ACME,a,2')]
  armFailPoint('load.after-claim', async () => {
    disarmFailPoints()
    expect(await load(second)).toEqual({ kind: 'stop', reason: 'waits for its window' })
  })
  await load(first)
  expect(await pipeline.rows('select waiting_for, lost_count from jobs where id = $1', [second])).toEqual([
    { waiting_for: 'window', lost_count: 0 },
  ])
  const states = `select state from stage_results where job_id = $1 and stage = 'load'`
  expect(await pipeline.rows(states, [second])).toEqual([{ state: 'parked' }])
  expect(await pipeline.rows('select id from window_waiters where blocked_by = $1', [first])).toHaveLength(1)
  await pipeline.admit()
})

test('a load that is overtaken before it claims its window claims none', async () => {
  const id = await validated('2024-04-01,ACME,a,1')
  armFailPoint('stage.before-work', async () => {
    await pipeline.rows(
      `update stage_results set state = 'released', finished_at = now() where job_id = $1 and state = 'running'`,
      [id],
    )
  })
  expect(await load(id)).toEqual({ kind: 'stop', reason: 'overtaken' })
  expect(await locks(id)).toEqual([])
})

test('a load whose job has ended before it claims its window claims none', async () => {
  const id = await validated('2024-05-01,ACME,a,1')
  armFailPoint('stage.before-work', async () => {
    await pipeline.rows(`update jobs set status = 'CANCELLED', completed_at = now() where id = $1`, [id])
  })
  expect(await load(id)).toEqual({ kind: 'stop', reason: 'overtaken' })
  expect(await locks(id)).toEqual([])
})
