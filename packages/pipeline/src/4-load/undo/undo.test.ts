import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { untilWaiting } from '@aduana/testkit/waiting'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { contracts, contractsFile, stock, stockAppended, stockFile, TABLES } from '../../testing/datasets.ts'
import { openPipeline, type TestPipeline } from '../../testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline([stock, stockAppended, contracts], TABLES)
})
afterAll(() => pipeline.close())
afterEach(() => disarmFailPoints())

const load = async (content: string, dataset: string) => {
  const job = await pipeline.import(content, { dataset })
  expect(job).toMatchObject({ status: 'COMPLETED', error: null })
  return job.id
}
const undo = async (id: string, options?: { unwind?: boolean }) => {
  const undoId = await pipeline.acceptUndo(id, options)
  return { undoId, outcome: await pipeline.run(undoId) }
}
/** Returns everything that an undo must restore. Undone imports are left out. */
const state = async () => ({
  stock: await pipeline.rows(`select * from stock_count order by id`),
  contracts: await pipeline.rows(`select * from contract order by id`),
  ledger: await pipeline.rows(
    `select l.dataset_id, l.scope, l.day::text, l.rows, l.job_id from window_ledger l join jobs j on j.id = l.job_id
      where not j.batch_deleted order by 1, 2, 3`,
  ),
  rejects: await pipeline.rows(
    `select q.id, q.state from quarantined_records q join jobs j on j.id = q.job_id where not j.batch_deleted order by 1`,
  ),
})

test('an undo restores rows, owners of days and rejects, and reports every day that it changed', async () => {
  await load(stockFile('2024-01-01,ACME,a,1', '2024-01-02,ACME,a,1', '2024-01-02,ACME,bad,x'), 'stock')
  const before = await state()
  const second = await load(
    stockFile('2024-01-01,ACME,b,2', '2024-01-02,ACME,b,2', '2024-01-03,ACME,b,2', '2024-01-03,ACME,bad,x'),
    'stock',
  )
  const { undoId, outcome } = await undo(second)
  expect(outcome).toEqual({ kind: 'done' })
  expect(await state()).toEqual(before)
  expect(
    await pipeline.rows('select days::text, cause from dataset_updates where job_id = $1', [undoId]),
  ).toEqual([{ days: '{[2024-01-01,2024-01-04)}', cause: 'undo' }])
  expect(await pipeline.job(second)).toMatchObject({ batchDeleted: true, undoneBy: undoId })
})

test('an undo of an upsert restores the values and days of changed rows, and deletes new ones', async () => {
  await load(contractsFile('A,2024-01-31 23:00:00,1,,', 'B,2024-01-31 23:00:00,1,,'), 'contracts')
  const before = await state()
  const second = await load(
    contractsFile('A,2024-03-01 12:00:00,2,,', 'C,2024-03-01 12:00:00,2,,'),
    'contracts',
  )
  expect((await undo(second)).outcome).toEqual({ kind: 'done' })
  expect(await state()).toEqual(before)
})

test('an undo undoes later imports of its days only if that was requested', async () => {
  const before = await state()
  const first = await load(stockFile('2024-04-01,ACME,a,1'), 'stock')
  const second = await load(stockFile('2024-04-01,ACME,b,2'), 'stock')
  await expect(pipeline.acceptUndo(first)).rejects.toMatchObject({ code: 'undo_overlap' })
  expect((await undo(first, { unwind: true })).outcome).toEqual({ kind: 'done' })
  expect(await state()).toEqual(before)
  expect(await pipeline.job(second)).toMatchObject({ batchDeleted: true })
})

test('an undo does not undo imports that were loaded after it was requested', async () => {
  const first = await load(stockFile('2024-05-01,ACME,a,1'), 'stock')
  const undoId = await pipeline.acceptUndo(first, { unwind: true })
  const later = await load(stockFile('2024-05-01,ACME,b,2'), 'stock')
  expect(await pipeline.run(undoId)).toMatchObject({
    kind: 'fail',
    failure: { code: 'undo_overlap', jobs: [later] },
  })
  expect(await pipeline.job(later)).toMatchObject({ batchDeleted: false })
})

test('an undo changes nothing when another import changes a row that it waits for', async () => {
  await load(contractsFile('D,2024-06-01 12:00:00,1,,'), 'contracts')
  const second = await load(contractsFile('D,2024-06-01 12:00:00,2,,'), 'contracts')
  const { pool } = pipeline.system.database
  const other = await pool.connect()
  await other.query('begin')
  await other.query(`update contract set amount = 3, import_no = import_no + 1000 where number = 'D'`)
  const undoing = undo(second)
  await untilWaiting(pool, 1)
  await other.query('commit')
  other.release()
  expect((await undoing).outcome).toMatchObject({
    kind: 'fail',
    failure: { detail: expect.stringContaining('have just changed') },
  })
  expect(await pipeline.job(second)).toMatchObject({ batchDeleted: false })
  expect(await pipeline.rows(`select amount from contract where number = 'D'`)).toEqual([{ amount: '3.00' }])
})

test('an undo claims every day that its import has written, and waits while another holds one of them', async () => {
  const first = await load(stockFile('2024-07-01,ACME,a,1', '2024-07-05,ACME,a,1'), 'stock')
  const undoId = await pipeline.acceptUndo(first)
  const holder = await pipeline.accept(stockFile('2024-07-05,ACME,b,1'), { dataset: 'stock' })
  armFailPoint('load.after-claim', async () => {
    disarmFailPoints()
    expect(await pipeline.run(undoId)).toEqual({ kind: 'stop', reason: 'waits for its window' })
  })
  expect(await pipeline.run(holder)).toEqual({ kind: 'done' })
})

test('an undo opens no rejects of an import that was itself undone', async () => {
  const first = await load(stockFile('2024-10-01,ACME,a,1', '2024-10-01,ACME,bad,x'), 'stock')
  const second = await load(stockFile('2024-10-01,ACME,b,1'), 'stock')
  const states = () => pipeline.rows('select state from quarantined_records where job_id = $1', [first])
  expect(await states()).toEqual([{ state: 'superseded' }])
  const undoId = await pipeline.acceptUndo(second)
  await pipeline.rows('update jobs set batch_deleted = true where id = $1', [first])
  expect(await pipeline.run(undoId)).toEqual({ kind: 'done' })
  expect(await states()).toEqual([{ state: 'superseded' }])
})

test('days return to the append before, also if one in between was undone first', async () => {
  const [first, second, third] = [
    await load(stockFile('2024-11-01,ACME,a,1'), 'stock_appended'),
    await load(stockFile('2024-11-01,ACME,b,1'), 'stock_appended'),
    await load(stockFile('2024-11-01,ACME,c,1'), 'stock_appended'),
  ]
  const owners = () =>
    pipeline.rows(`select job_id, rows::int from window_ledger where job_id = any ($1)`, [
      [first, second, third],
    ])
  expect((await undo(second)).outcome).toEqual({ kind: 'done' })
  expect(await owners()).toEqual([{ job_id: third, rows: 2 }])
  expect((await undo(third)).outcome).toEqual({ kind: 'done' })
  expect(await owners()).toEqual([{ job_id: first, rows: 1 }])
})

test.each([
  ['was undone by another job', 'update jobs set batch_deleted = true where id = $1', 'in the meantime'],
  [
    'has written outside of the windows that the undo holds',
    `insert into window_ledger_before (job_id, dataset_id, scope, day)
      select job_id, dataset_id, scope, day + 1 from window_ledger_before where job_id = $1`,
    'are not held',
  ],
])('an undo changes nothing when its import %s before it begins to write', async (what, statement, told) => {
  const day = what.startsWith('was') ? '2024-12-01' : '2024-12-11'
  const id = await load(stockFile(`${day},ACME,a,1`), 'stock')
  const undoId = await pipeline.acceptUndo(id)
  armFailPoint('undo.before-transaction', async () => {
    await pipeline.rows(statement, [id])
  })
  expect(await pipeline.run(undoId)).toMatchObject({
    kind: 'fail',
    failure: { detail: expect.stringContaining(told) },
  })
  expect(await pipeline.rows('select item from stock_count where day = $1', [day])).toEqual([{ item: 'a' }])
})

test('an import is undone once, also if two jobs try', async () => {
  const first = await load(stockFile('2024-08-01,ACME,a,1'), 'stock')
  const undoId = await pipeline.acceptUndo(first)
  await pipeline.rows('update jobs set batch_deleted = true where id = $1', [first])
  expect(await pipeline.run(undoId)).toMatchObject({ kind: 'fail', failure: { code: 'already_undone' } })
  expect(await pipeline.rows(`select item from stock_count where day = '2024-08-01'`)).toEqual([
    { item: 'a' },
  ])
})

test('an import whose old rows are lost is not undone', async () => {
  await load(stockFile('2024-09-01,ACME,a,1'), 'stock')
  const second = await load(stockFile('2024-09-01,ACME,b,1'), 'stock')
  const undoId = await pipeline.acceptUndo(second)
  const [image] = await pipeline.rows(
    `select key from artifacts where job_id = $1 and name like 'before-image%'`,
    [second],
  )
  await pipeline.system.store.remove(String(image?.key))
  expect(await pipeline.run(undoId)).toMatchObject({
    kind: 'fail',
    failure: {
      code: 'artifact_missing',
      detail: expect.stringMatching(/cannot be restored\. .* import a file for the same days\.$/),
    },
  })
  expect(await pipeline.rows(`select item from stock_count where day = '2024-09-01'`)).toEqual([
    { item: 'b' },
  ])
})
