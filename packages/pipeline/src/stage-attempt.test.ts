import { readdir } from 'node:fs/promises'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { stock, stockAppended, stockFile, TABLES } from './testing/datasets.ts'
import { openPipeline, type TestPipeline } from './testing/pipeline.ts'

let pipeline: TestPipeline
beforeAll(async () => {
  pipeline = await openPipeline([{ ...stock, maxRejectRatio: 0.5 }, stockAppended], TABLES)
})
afterAll(() => pipeline.close())
afterEach(() => disarmFailPoints())

const accept = (...rows: string[]) => pipeline.accept(stockFile(...rows), { dataset: 'stock' })
const stageAttempts = (id: string) =>
  pipeline.rows('select stage, state from stage_results where job_id = $1 order by started_at, try', [id])

test('each stage executes once, however often it is delivered', async () => {
  const id = await accept('2024-01-01,ACME,a,1')
  for (const last of ['parse', 'parse', 'validate', 'quarantine', 'load', 'load'] as const)
    expect(await pipeline.run(id, { last })).toEqual({ kind: 'done' })
  expect(await stageAttempts(id)).toEqual(
    ['parse', 'validate', 'quarantine', 'load'].map((stage) => ({ stage, state: 'done' })),
  )
  expect(await pipeline.run(id)).toEqual({ kind: 'done' })
  expect(await pipeline.run(id)).toEqual({ kind: 'stop', reason: 'the job is COMPLETED' })
  expect(await pipeline.rows('select item from stock_count')).toHaveLength(1)
})

test('a stage does not begin before the earlier ones are done, nor while another process executes it', async () => {
  const id = await accept('2024-01-01,ACME,a,1')
  expect(await pipeline.run(id, { from: 'validate' })).toEqual({
    kind: 'stop',
    reason: 'stage parse is not done',
  })
  let busy: unknown
  armFailPoint('stage.before-work', async () => {
    disarmFailPoints()
    busy = await pipeline.run(id)
  })
  expect(await pipeline.run(id)).toEqual({ kind: 'done' })
  expect(busy).toMatchObject({ kind: 'snooze', reason: 'another process executes the stage' })
})

test('a job that is cancelled during a stage does not continue', async () => {
  const id = await accept('2024-01-01,ACME,a,1')
  const { database, admin } = pipeline.system
  armFailPoint('stage.before-work', async () => {
    disarmFailPoints()
    await cancelJob(database.db, admin, id)
  })
  expect(await pipeline.run(id)).toEqual({ kind: 'stop', reason: 'cancelled' })
  expect(await pipeline.job(id)).toMatchObject({ status: 'CANCELLED' })
})

test('more rejects than the dataset allows fail the import and are kept; as many as it allows do not', async () => {
  const file = (bad: number) => [
    '2024-02-01,ACME,a,1',
    '2024-02-01,ACME,b,1',
    ...Array.from({ length: bad }, (_, n) => `2024-02-01,ACME,bad ${n},x`),
  ]
  const failed = await accept(...file(3))
  expect(await pipeline.run(failed)).toMatchObject({ kind: 'fail', failure: { code: 'too_many_rejects' } })
  expect(
    await pipeline.rows('select state from quarantined_records where job_id = $1', [failed]),
  ).toHaveLength(3)
  expect(await pipeline.rows(`select item from stock_count where day = '2024-02-01'`)).toEqual([])
  const loaded = await accept(...file(2))
  expect(await pipeline.run(loaded)).toEqual({ kind: 'done' })
  expect(await pipeline.job(loaded)).toMatchObject({
    counts: { records: 4, loaded: 2, quarantined: 2, duplicates: 0 },
  })
})

test('a dry run changes nothing, takes no window, and stores no reject', async () => {
  await pipeline.import(stockFile('2024-03-01,ACME,a,1', '2024-03-01,ACME,b,1'), { dataset: 'stock' })
  const stored = () => pipeline.rows(`select id from stock_count where day >= '2024-03-01' order by id`)
  const before = await stored()
  const job = await pipeline.import(
    stockFile('2024-03-01,ACME,c,1', '2024-03-02,ACME,a,1', '2024-03-02,ACME,b,x'),
    { dataset: 'stock', dryRun: 'true' },
  )
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { inserted: 2, quarantined: 1, removed: 2 } })
  expect(await stored()).toEqual(before)
  for (const table of ['quarantined_records', 'dataset_updates', 'window_ledger', 'window_locks'])
    expect(await pipeline.rows(`select job_id from ${table} where job_id = $1`, [job.id]), table).toEqual([])
})

test('a dry run of an append would remove nothing', async () => {
  await pipeline.import(stockFile('2024-06-01,ACME,a,1'), { dataset: 'stock_appended' })
  const job = await pipeline.import(stockFile('2024-06-01,ACME,b,1'), {
    dataset: 'stock_appended',
    dryRun: 'true',
  })
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { inserted: 1, removed: 0 } })
})

test('a file with another number of records than announced is not imported', async () => {
  const file = stockFile('2024-07-02,ACME,a,1', '2024-07-01,ACME,a,1')
  const job = (expectedRecords: string) => pipeline.import(file, { dataset: 'stock', expectedRecords })
  expect(await job('3')).toMatchObject({ status: 'FAILED', error: { code: 'record_count_differs' } })
  expect(await job('2')).toMatchObject({
    status: 'COMPLETED',
    result: { firstDay: '2024-07-01', lastDay: '2024-07-02', days: 2 },
  })
})

test('a retry of a job whose file of an earlier stage is lost begins with that stage', async () => {
  const id = await accept('2024-04-01,ACME,a,1')
  await pipeline.run(id, { last: 'validate' })
  const [file] = await pipeline.rows(
    `select key from artifacts where job_id = $1 and name = 'rejects.ndjson'`,
    [id],
  )
  await pipeline.system.store.remove(String(file?.key))
  expect(await pipeline.run(id)).toMatchObject({
    kind: 'fail',
    failure: { code: 'artifact_missing', stage: 'quarantine' },
  })
  await retryJob(pipeline.system.database.db, pipeline.system.admin, id)
  await pipeline.admit()
  expect(await pipeline.run(id, { from: 'quarantine' })).toMatchObject({
    kind: 'stop',
    reason: 'stage validate is not done',
  })
  expect(await pipeline.run(id)).toEqual({ kind: 'done' })
})

test('a stage removes its folder, whatever its result', async () => {
  armFailPoint('stage.before-work', async () => {
    throw new Error('broken')
  })
  expect(await pipeline.run(await accept('2024-05-01,ACME,a,1'))).toMatchObject({ kind: 'fail' })
  expect(await readdir(pipeline.context.workFolder)).toEqual([])
})
