import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stock, stockFile, TABLES } from '../testing/datasets.ts'
import { openPipeline, type TestPipeline } from '../testing/pipeline.ts'

let pipeline: TestPipeline
let id: string
beforeAll(async () => {
  pipeline = await openPipeline([stock], TABLES)
})
afterAll(() => pipeline.close())
beforeEach(async () => {
  id = await pipeline.accept(stockFile('2024-01-01,ACME,a,1'), { dataset: 'stock' })
  expect(await pipeline.run(id, { last: 'quarantine' })).toEqual({ kind: 'done' })
})
afterEach(async () => {
  disarmFailPoints()
  await pipeline.system.database.pool.query('delete from window_locks; delete from window_leases')
})

const load = () => pipeline.run(id, { from: 'load', last: 'load' })
const change = (statement: string) => () =>
  pipeline.system.database.pool.query(statement, [id]).then(() => undefined)
/** Returns what a load writes. */
const written = async () => ({
  rows: await pipeline.rows('select item from stock_count'),
  ledger: await pipeline.rows('select day from window_ledger'),
  updates: await pipeline.rows('select id from dataset_updates'),
  loaded: await pipeline.rows('select id from jobs where loaded_at is not null'),
  images: await pipeline.rows(`select name from artifacts where name like 'before-image%'`),
})
const NOTHING = { rows: [], ledger: [], updates: [], loaded: [], images: [] }

test('an import that is cancelled just before its load commits is cancelled, and nothing is loaded', async () => {
  const { database, admin } = pipeline.system
  armFailPoint('load.before-commit', async () => {
    await cancelJob(database.db, admin, id)
  })
  expect(await load()).toEqual({ kind: 'stop', reason: 'cancelled' })
  expect(await pipeline.job(id)).toMatchObject({ status: 'CANCELLED' })
  expect(await written()).toEqual(NOTHING)
})

describe('a load rolls back', () => {
  test.each([
    [
      'its job is in a later attempt',
      'load.before-commit',
      'update jobs set attempt = attempt + 1 where id = $1',
    ],
    [
      'another stage attempt has taken its place',
      'load.before-commit',
      `update stage_results set state = 'released', finished_at = now() where job_id = $1 and state = 'running'`,
    ],
    [
      'another process has taken its lease',
      'load.before-transaction',
      `with taken as (update window_leases set fence = nextval('window_fence'), holder = 'other.1' where job_id = $1
        returning fence, job_id) update window_locks l set fence = t.fence from taken t where l.job_id = t.job_id`,
    ],
  ] as const)('when %s', async (_, point, statement) => {
    armFailPoint(point, change(statement))
    expect(await load()).toEqual({ kind: 'stop', reason: 'overtaken' })
    expect(await written()).toEqual(NOTHING)
  })
})

test('the connection of a load is recorded during the load and removed afterwards', async () => {
  const backends = () =>
    pipeline.rows(
      `select a.pid is not null as known from window_leases l
        left join pg_stat_activity a on a.pid = l.backend_pid and a.backend_start = l.backend_start where l.job_id = $1`,
      [id],
    )
  let during: unknown
  armFailPoint('load.before-commit', async () => {
    during = await backends()
    throw new Error('broken')
  })
  expect(await load()).toMatchObject({ kind: 'fail' })
  expect(during).toEqual([{ known: true }])
  expect((await backends()).filter(({ known }) => known)).toEqual([])
})
