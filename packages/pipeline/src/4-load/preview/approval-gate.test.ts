import { approveJob, readPreview } from '@aduana/jobs/lifecycle/approve'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { contracts, contractsFile, stockByDay, stockFile, TABLES } from '../../testing/datasets.ts'
import { openPipeline, type TestPipeline } from '../../testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline([stockByDay, contracts], TABLES)
})
afterAll(() => pipeline.close())
beforeEach(async () => {
  await pipeline.rows('delete from stock_count')
  await pipeline.rows(
    `insert into stock_count select n, '2024-01-01', 'ACME', 'item ' || n, 1 from generate_series(1, 3) n`,
  )
})
afterEach(() => disarmFailPoints())

const WAITS = { kind: 'stop', reason: 'waits for approval' }
/** A file that removes the three rows of the day, one more than the dataset allows without an approval. */
const risky = () => pipeline.accept(stockFile('2024-01-01,ACME,new,1'), { dataset: 'stock_by_day' })
const approve = async (id: string) => {
  const { database, admin } = pipeline.system
  await approveJob(database.db, admin, id, {})
  await pipeline.admit()
}
const asked = async (id: string) => {
  const { database, admin } = pipeline.system
  const { needsApproval, approvedAt } = await readPreview(database.db, admin, id)
  return { codes: needsApproval.map(({ code }) => code), approved: approvedAt !== null }
}
const load = (id: string) => pipeline.run(id, { from: 'load' })
const items = async () =>
  (await pipeline.rows('select item from stock_count order by 1')).map(({ item }) => item)
const OLD = ['item 1', 'item 2', 'item 3']

test('a load above the threshold waits without its window and its stage attempt; approved, it continues', async () => {
  const id = await risky()
  expect(await pipeline.run(id)).toEqual(WAITS)
  expect(await asked(id)).toEqual({ codes: ['too_many_rows'], approved: false })
  expect(await items()).toEqual(OLD)
  expect(await pipeline.rows('select id from window_locks where job_id = $1', [id])).toEqual([])
  expect(
    await pipeline.rows(`select try from stage_results where job_id = $1 and state = 'running'`, [id]),
  ).toEqual([])
  await approve(id)
  expect(await load(id)).toEqual({ kind: 'done' })
  expect(await items()).toEqual(['new'])
})

test('a load within the threshold continues by itself and stores its preview', async () => {
  await pipeline.rows('delete from stock_count where id = 3')
  const id = await risky()
  expect(await pipeline.run(id)).toEqual({ kind: 'done' })
  expect(await asked(id)).toEqual({ codes: [], approved: false })
  expect(await items()).toEqual(['new'])
})

test('a load that was not approved does not continue when it is delivered again', async () => {
  const id = await risky()
  await pipeline.run(id)
  await pipeline.rows('update jobs set waiting_for = null where id = $1', [id])
  expect(await load(id)).toEqual(WAITS)
  expect(await items()).toEqual(OLD)
})

test('a load for which an approval was requested waits for one again, although it no longer needs one', async () => {
  const id = await risky()
  await pipeline.run(id)
  // The state of a failed job whose preview is past its retention, before it is retried.
  await pipeline.rows('delete from load_previews where job_id = $1', [id])
  await pipeline.rows('update jobs set waiting_for = null where id = $1', [id])
  await pipeline.rows('delete from stock_count where id > 1')
  expect(await load(id)).toEqual(WAITS)
  expect(await asked(id)).toEqual({ codes: ['lapsed'], approved: false })
})

test('an approval lapses when another import changes the rows before the load begins', async () => {
  const id = await risky()
  await pipeline.run(id)
  await approve(id)
  await pipeline.import(stockFile('2024-01-01,ACME,item 1,1', '2024-01-01,ACME,item 2,1'), {
    dataset: 'stock_by_day',
  })
  expect(await load(id)).toEqual(WAITS)
  expect(await asked(id)).toEqual({ codes: ['lapsed'], approved: false })
  expect(await items()).toEqual(['item 1', 'item 2'])
})

test('an approval of a replacement does not lapse when other days change', async () => {
  const id = await risky()
  await pipeline.run(id)
  await approve(id)
  await pipeline.import(stockFile('2024-01-02,ACME,item 1,1'), { dataset: 'stock_by_day' })
  expect(await load(id)).toEqual({ kind: 'done' })
})

test('an approval of an upsert lapses for any change of its dataset, because its rows may be on any day', async () => {
  const form = { dataset: 'contracts', requireApproval: 'true' }
  const id = await pipeline.accept(contractsFile('A,2024-01-01 12:00:00,1,,'), form)
  expect(await pipeline.run(id)).toEqual(WAITS)
  await pipeline.import(contractsFile('A,2024-06-01 12:00:00,2,,'), { dataset: 'contracts' })
  await approve(id)
  expect(await load(id)).toEqual(WAITS)
  expect(await asked(id)).toEqual({ codes: ['requested', 'lapsed'], approved: false })
})

test('an approval lapses when the rows change while the load writes: it rolls back and requests another one', async () => {
  const id = await risky()
  await pipeline.run(id)
  await approve(id)
  armFailPoint('load.after-delete', async () => {
    disarmFailPoints()
    await pipeline.rows(
      `insert into dataset_updates (id, dataset_id, job_id, event_key, days, scopes, rows, cause)
        select gen_random_uuid(), dataset_id, id, 'by hand', '{[2024-01-01,2024-01-02)}', '{""}', 1, 'load'
        from jobs where id <> $1 and dataset_id = (select dataset_id from jobs where id = $1) limit 1`,
      [id],
    )
  })
  expect(await load(id)).toMatchObject({ kind: 'snooze' })
  expect(await items()).toEqual(OLD)
  expect(await load(id)).toEqual(WAITS)
})

test('a job that is cancelled while its preview is computed requests no approval', async () => {
  const id = await risky()
  armFailPoint('load.after-claim', async () => {
    const { database, admin } = pipeline.system
    await cancelJob(database.db, admin, id)
  })
  expect(await pipeline.run(id)).toEqual({ kind: 'stop', reason: 'cancelled' })
  expect(await pipeline.job(id)).toMatchObject({ status: 'CANCELLED', waitingFor: null })
})

test('a stage attempt that is overtaken while its preview is computed stores none', async () => {
  for (const rows of [3, 1]) {
    await pipeline.rows('delete from stock_count where id > $1', [rows])
    const id = await risky()
    armFailPoint('load.after-claim', async () => {
      await pipeline.rows(
        `update stage_results set state = 'released', finished_at = now() where job_id = $1 and state = 'running'`,
        [id],
      )
    })
    expect(await pipeline.run(id)).toEqual({ kind: 'stop', reason: 'overtaken' })
    expect(await pipeline.rows('select basis_sha256 from load_previews where job_id = $1', [id])).toEqual([])
    await pipeline.rows('delete from window_locks where job_id = $1', [id])
  }
})
