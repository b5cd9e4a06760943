import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  contracts,
  contractsFile,
  productionFile,
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
beforeEach(async () => {
  await pipeline.rows('delete from stock_count')
})
afterEach(() => disarmFailPoints())

const stored = async () =>
  (
    await pipeline.rows(
      `select concat_ws(',', day, company, item, pieces) as row from stock_count order by 1`,
    )
  ).map(({ row }) => row)
const load = async (content: string, form: { dataset: string } & Record<string, string>) => {
  const job = await pipeline.import(content, form)
  expect(job).toMatchObject({ status: 'COMPLETED', error: null })
  return job.counts
}

test('a file across the end of a month fills the new month and adds to the existing one', async () => {
  const lots = () =>
    pipeline.rows(`select fecha_contabilizacion::text as day, lote as lot from fact_production order by 1, 2`)
  await load(productionFile('2024-02-10,A', '2024-02-01,B'), { dataset: 'production' })
  await load(productionFile('2024-01-31,C', '2024-02-01,D', '2024-02-01,E'), { dataset: 'production' })
  expect(await lots()).toEqual([
    { day: '2024-01-31', lot: 'C' },
    { day: '2024-02-01', lot: 'D' },
    { day: '2024-02-01', lot: 'E' },
    { day: '2024-02-10', lot: 'A' },
  ])
})

test('a replacement replaces the days of its companies, and no others', async () => {
  await load(
    stockFile('2024-01-01,ACME,a,1', '2024-01-01,OTHER,a,1', '2024-01-02,ACME,a,1', '2024-01-03,ACME,a,1'),
    { dataset: 'stock' },
  )
  const counts = await load(stockFile('2024-01-01,ACME,b,1', '2024-01-03,ACME,b,1'), { dataset: 'stock' })
  expect(counts).toMatchObject({ inserted: 2, removed: 2, updated: 0, unchanged: 0 })
  expect(await stored()).toEqual([
    '2024-01-01,ACME,b,1',
    '2024-01-01,OTHER,a,1',
    '2024-01-02,ACME,a,1',
    '2024-01-03,ACME,b,1',
  ])
})

test('a declared window is emptied from its first to its last day only', async () => {
  const days = ['2024-01-01', '2024-01-02', '2024-01-03', '2024-01-04']
  await load(stockFile(...days.map((day) => `${day},ACME,a,1`)), { dataset: 'stock' })
  const window = { from: '2024-01-02', to: '2024-01-04', scope: 'ACME' }
  await load(stockFile('2024-01-03,ACME,b,1'), { dataset: 'stock', ...window })
  expect(await stored()).toEqual(['2024-01-01,ACME,a,1', '2024-01-03,ACME,b,1', '2024-01-04,ACME,a,1'])
})

test('a replacement by an uploader of one company leaves the rows of the others', async () => {
  const operator = await pipeline.system.addUser('operator', { companies: ['ACME'] })
  await pipeline.rows(
    `insert into stock_count values (1, '2024-01-01', 'ACME', 'a', 1), (2, '2024-01-01', 'OTHER', 'a', 1)`,
  )
  const job = await pipeline.import(stockFile('2024-01-01,ACME,b,1'), { dataset: 'stock_by_day' }, operator)
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { removed: 1 } })
  expect(await stored()).toEqual(['2024-01-01,ACME,b,1', '2024-01-01,OTHER,a,1'])
})

test('an upsert by an uploader of one company does not take over a row of another', async () => {
  const operator = await pipeline.system.addUser('operator', { companies: ['ACME'] })
  await load(contractsFile('A,2024-01-01 12:00:00,1,OTHER,'), { dataset: 'contracts' })
  const taking = contractsFile('A,2024-01-01 12:00:00,2,ACME,', 'B,2024-01-01 12:00:00,2,ACME,')
  const job = await pipeline.import(taking, { dataset: 'contracts' }, operator)
  expect(job).toMatchObject({ status: 'FAILED' })
  expect(await pipeline.rows('select number, company from contract')).toEqual([
    { number: 'A', company: 'OTHER' },
  ])
})

test('an upsert counts what it inserts, changes and leaves as it is', async () => {
  await load(contractsFile('C,2024-01-01 12:00:00,1,,', 'D,2024-01-01 12:00:00,1,,'), {
    dataset: 'contracts',
  })
  const counts = await load(
    contractsFile('C,2024-01-01 12:00:00,1,,', 'D,2024-01-01 12:00:00,2,,', 'E,2024-01-01 12:00:00,1,,'),
    { dataset: 'contracts' },
  )
  expect(counts).toMatchObject({ loaded: 2, inserted: 1, updated: 1, unchanged: 1, removed: 0 })
})

test('a row without a version in the table does not block one with a version', async () => {
  const amounts = () =>
    pipeline.rows(`select amount, changed is not null as versioned from contract where number = 'F'`)
  const send = (amount: number, changed: string) =>
    load(contractsFile(`F,2024-01-01 12:00:00,${amount},,${changed}`), { dataset: 'contracts' })
  await send(1, '')
  await send(2, '2024-01-01 10:00:00')
  expect(await amounts()).toEqual([{ amount: '2.00', versioned: true }])
  await send(3, '2024-01-01 10:00:00')
  expect(await amounts(), 'the same version').toEqual([{ amount: '3.00', versioned: true }])
  await send(4, '2024-01-01 09:59:59')
  expect(await amounts(), 'an older version').toEqual([{ amount: '3.00', versioned: true }])
})

test('an append adds to the existing rows, and counts those that exist already', async () => {
  await load(stockFile('2024-01-01,ACME,a,1', '2024-01-02,ACME,a,1'), { dataset: 'stock_appended' })
  const job = await pipeline.import(stockFile('2024-01-01,ACME,a,1', '2024-01-01,ACME,b,1'), {
    dataset: 'stock_appended',
  })
  expect(job.counts).toMatchObject({ inserted: 2, removed: 0 })
  expect(job.warnings).toMatchObject([{ code: 'rows_already_present', count: 1 }])
  expect(await stored()).toHaveLength(4)
})

test('rows of an append are imported once, however they are written, unless forced or undone', async () => {
  const [one, other] = ['2024-04-01,ACME,a,1', '2024-04-01,ACME,b,1']
  const form = { dataset: 'stock_appended', force: 'false' }
  const first = await pipeline.import(stockFile(one, other), form)
  // Another row order, and other bytes each time, because equal bytes are refused earlier.
  let sent = 0
  const again = () => pipeline.import(`${stockFile(other, one)}${'\n'.repeat(++sent)}`, form)
  expect(await again()).toMatchObject({
    status: 'FAILED',
    error: { code: 'already_imported', jobId: first.id },
  })
  expect(await pipeline.import(stockFile(other, one), { ...form, force: 'true' })).toMatchObject({
    status: 'COMPLETED',
  })
  await pipeline.rows(`update jobs set batch_deleted = true where loaded_at is not null`)
  expect(await again()).toMatchObject({ status: 'COMPLETED' })
})

test('a replacement keeps every row that it deletes, or deletes none', async () => {
  await load(stockFile('2024-01-01,ACME,a,1'), { dataset: 'stock' })
  armFailPoint('load.before-transaction', async () => {
    await pipeline.rows(`insert into stock_count values (9, '2024-01-01', 'ACME', 'by hand', 1)`)
  })
  const job = await pipeline.import(stockFile('2024-01-01,ACME,b,1'), { dataset: 'stock' })
  expect(job).toMatchObject({ status: 'FAILED' })
  expect(await stored()).toEqual(['2024-01-01,ACME,a,1', '2024-01-01,ACME,by hand,1'])
})

test('a table that skips rows by itself fails the whole file', async () => {
  await pipeline.rows(`create function keep_out() returns trigger language plpgsql as
    'begin if new.item = ''z'' then return null; end if; return new; end'`)
  await pipeline.rows(
    'create trigger keep_out before insert on stock_count for each row execute function keep_out()',
  )
  const job = await pipeline.import(stockFile('2024-01-01,ACME,a,1', '2024-01-01,ACME,z,1'), {
    dataset: 'stock',
  })
  await pipeline.rows('drop function keep_out cascade')
  expect(job).toMatchObject({ status: 'FAILED', error: { code: 'constraint_violated' } })
  expect(await stored()).toEqual([])
})
