import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  contracts,
  contractsFile,
  stock,
  stockAppended,
  stockByDay,
  stockFile,
  TABLES,
} from '../testing/datasets.ts'
import { openPipeline, type TestPipeline } from '../testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline([stock, stockByDay, stockAppended, contracts], TABLES)
})
afterAll(() => pipeline.close())

/** Returns the entries of a month. */
const ledger = (dataset: string, month: string) =>
  pipeline.rows(
    `select l.scope, l.day::text, l.rows::int, i.import_no from window_ledger l join imports i on i.job_id = l.job_id
      join datasets d on d.id = l.dataset_id where d.code = $1 and to_char(l.day, 'YYYY-MM') = $2 order by l.scope, l.day`,
    [dataset, month],
  )
const load = async (content: string, form: { dataset: string } & Record<string, string>) => {
  const job = await pipeline.import(content, form)
  expect(job).toMatchObject({ status: 'COMPLETED', error: null })
  const [row] = await pipeline.rows('select import_no from imports where job_id = $1', [job.id])
  return row?.import_no
}

test('the ledger counts the rows of a day in the zone of the dataset, from its first second to its last', async () => {
  const no = await load(contractsFile('A,2024-01-31 00:00:00,1,,', 'B,2024-01-31 23:59:59,1,,'), {
    dataset: 'contracts',
  })
  const entry = { scope: '', day: '2024-01-31', rows: 2, import_no: no }
  expect(await ledger('contracts', '2024-01')).toEqual([entry])
  await load(contractsFile('C,2024-02-01 00:00:00,1,,'), { dataset: 'contracts' })
  expect(await ledger('contracts', '2024-01')).toEqual([entry])
  expect(await ledger('contracts', '2024-02')).toMatchObject([{ day: '2024-02-01', rows: 1 }])
})

test('a row that an upsert moves is counted on its new day and no longer on its old one', async () => {
  const first = await load(contractsFile('D,2024-03-01 12:00:00,1,,', 'E,2024-03-01 12:00:00,1,,'), {
    dataset: 'contracts',
  })
  const second = await load(contractsFile('D,2024-03-05 12:00:00,1,,'), { dataset: 'contracts' })
  expect(await ledger('contracts', '2024-03')).toEqual([
    { scope: '', day: '2024-03-01', rows: 1, import_no: first },
    { scope: '', day: '2024-03-05', rows: 1, import_no: second },
  ])
})

test('an append adds its rows to those of the day; a replacement counts its own', async () => {
  const form = { dataset: 'stock_appended' }
  await load(stockFile('2024-01-01,ACME,a,1', '2024-01-01,ACME,b,1'), form)
  const second = await load(stockFile('2024-01-01,ACME,c,1'), form)
  expect(await ledger('stock_appended', '2024-01')).toEqual([
    { scope: '', day: '2024-01-01', rows: 3, import_no: second },
  ])
  await load(stockFile('2024-02-01,ACME,a,1', '2024-02-01,ACME,b,1'), { dataset: 'stock' })
  const last = await load(stockFile('2024-02-01,ACME,a,1'), { dataset: 'stock' })
  expect(await ledger('stock', '2024-02')).toEqual([
    { scope: 'ACME', day: '2024-02-01', rows: 1, import_no: last },
  ])
})

test('a declared window adds each of its days to the ledger, also those without rows', async () => {
  const window = { dataset: 'stock', from: '2024-05-01', to: '2024-05-04', scope: 'ACME' }
  const no = await load(stockFile('2024-05-02,ACME,a,1'), window)
  expect(await ledger('stock', '2024-05')).toEqual([
    { scope: 'ACME', day: '2024-05-01', rows: 0, import_no: no },
    { scope: 'ACME', day: '2024-05-02', rows: 1, import_no: no },
    { scope: 'ACME', day: '2024-05-03', rows: 0, import_no: no },
  ])
})

test('rejects stay open exactly as long as a row of their import is left', async () => {
  const bad = '2024-06-01,ACME,bad,many'
  const first = await load(stockFile('2024-06-01,ACME,a,1', '2024-06-02,ACME,a,1', bad), { dataset: 'stock' })
  const states = () =>
    pipeline.rows(
      'select q.state from quarantined_records q join imports i on i.job_id = q.job_id where i.import_no = $1',
      [first],
    )
  expect(await states()).toEqual([{ state: 'open' }])
  await load(stockFile('2024-06-01,ACME,b,1'), { dataset: 'stock' })
  expect(await states()).toEqual([{ state: 'open' }])
  await load(stockFile('2024-06-02,OTHER,b,1'), { dataset: 'stock' })
  expect(await states()).toEqual([{ state: 'open' }])
  await load(stockFile('2024-06-02,ACME,b,1'), { dataset: 'stock' })
  expect(await states()).toEqual([{ state: 'superseded' }])
})

test('rejects stay open while rows of companies are left that the later uploader has no access to', async () => {
  const first = await pipeline.import(
    stockFile('2024-07-01,ACME,a,1', '2024-07-01,OTHER,a,1', '2024-07-01,OTHER,bad,x'),
    { dataset: 'stock_by_day' },
  )
  const operator = await pipeline.system.addUser('operator', { companies: ['ACME'] })
  const second = await pipeline.import(
    stockFile('2024-07-01,ACME,b,1'),
    { dataset: 'stock_by_day' },
    operator,
  )
  expect(second).toMatchObject({ status: 'COMPLETED', counts: { removed: 1 } })
  expect(await pipeline.rows('select state from quarantined_records where job_id = $1', [first.id])).toEqual([
    { state: 'open' },
  ])
})

test('a window with rows unknown to the ledger counts as changed on all of its days', async () => {
  const days = async (...rows: string[]) => {
    const window = { dataset: 'stock', from: '2024-08-01', to: '2024-08-05', scope: 'ACME' }
    const { id } = await pipeline.import(stockFile(...rows), window)
    const [update] = await pipeline.rows('select days::text from dataset_updates where job_id = $1', [id])
    return update?.days
  }
  expect(await days('2024-08-02,ACME,a,1')).toBe('{[2024-08-02,2024-08-03)}')
  expect(await days('2024-08-03,ACME,a,1')).toBe('{[2024-08-02,2024-08-04)}')
  await pipeline.rows(`insert into stock_count values (7, '2024-08-04', 'ACME', 'by hand', 1)`)
  expect(await days('2024-08-03,ACME,a,1')).toBe('{[2024-08-01,2024-08-05)}')
})
