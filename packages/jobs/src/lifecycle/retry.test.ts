import type { Principal } from '@aduana/contracts/identity'
import { inTransaction } from '@aduana/db/database'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { freshSha, type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { assertNoActiveJobs, lockDatasetOfJob } from '../windows/placement.ts'
import { retryJob } from './retry.ts'

let database: JobsDatabase
let owner: Principal
beforeAll(async () => {
  database = await openJobsDatabase()
  owner = await database.addUser('operator')
})
afterAll(() => database.drop())
beforeEach(() => database.clear())

/** Inserts a failed import of the owner. */
async function failed(form: Record<string, string> = {}, sha256 = freshSha()): Promise<string> {
  const id = await database.accept(form, { as: owner, sha256 })
  await database.pool.query('delete from window_locks where job_id = $1', [id])
  await database.pool.query('delete from window_waiters where job_id = $1', [id])
  await database.pool.query(
    `update jobs set status = 'FAILED', attempt = 3, lost_count = 4, completed_at = now(), admitted_at = now(),
      cancel_requested_at = now(), error = '{"code":"internal","detail":"x"}' where id = $1`,
    [id],
  )
  return id
}
const retry = (id: string, as = owner) => retryJob(database.db, as, id)
/** Saves the current definition of the dataset of a job as a new version. */
const declare = (id: string, change: string) =>
  database.pool.query(
    `with d as (update datasets set current_version = current_version + 1
        where id = (select dataset_id from jobs where id = $1) returning id, current_version)
      insert into dataset_versions (dataset_id, version, definition, definition_sha256)
      select d.id, d.current_version, ${change}, md5(random()::text) || md5(random()::text)
      from d join dataset_versions v on v.dataset_id = d.id and v.version = d.current_version - 1`,
    [id],
  )

test('a retried job waits to be admitted, without its former error and losses', async () => {
  const id = await failed()
  expect(await retry(id)).toMatchObject({ status: 'QUEUED', error: null, completedAt: null })
  expect(await database.job(id)).toMatchObject({
    lost_count: 0,
    admitted_at: null,
    cancel_requested_at: null,
  })
})

test.each(['QUEUED', 'PROCESSING', 'COMPLETED', 'CANCELLED'])(
  'a job that is %s is not retried',
  async (status) => {
    const id = await database.accept({}, { as: owner })
    const ended = status === 'COMPLETED' || status === 'CANCELLED'
    await database.pool.query(
      `update jobs set status = $2, completed_at = $3, records = 0, loaded = 0, inserted = 0, updated = 0, unchanged = 0,
      removed = 0, quarantined = 0, duplicates = 0, conflicts = 0, loaded_at = $4 where id = $1`,
      [id, status, ended ? new Date() : null, status === 'COMPLETED' ? new Date() : null],
    )
    await expect(retry(id)).rejects.toMatchObject({ code: 'illegal_transition' })
  },
)

test('only users with access and the role may retry a job', async () => {
  const id = await failed()
  await expect(retry(id, await database.addUser('operator'))).rejects.toMatchObject({ code: 'not_found' })
  const viewer = await database.addUser('viewer')
  await database.pool.query('update jobs set user_id = $2 where id = $1', [id, viewer.userId])
  await expect(retry(id, viewer)).rejects.toMatchObject({ code: 'forbidden' })
  expect(await database.job(id)).toMatchObject({ status: 'FAILED' })
})

test('a job whose bytes another job has imported in the meantime is not retried', async () => {
  const sha256 = freshSha()
  const id = await failed({}, sha256)
  await database.accept({}, { as: owner, sha256 })
  await expect(retry(id)).rejects.toMatchObject({ code: 'already_imported' })
})

test('a declared window is reserved again, or waited for while another job holds it; a dry run needs none', async () => {
  const window = { from: '2024-01-01', to: '2024-02-01' }
  const [first, second, dry] = [
    await failed(window),
    await failed(window),
    await failed({ ...window, dryRun: 'true' }),
  ]
  expect(await retry(first)).toMatchObject({ status: 'QUEUED', waitingFor: null })
  expect(await retry(second)).toMatchObject({ status: 'QUEUED', waitingFor: 'window' })
  expect(await retry(dry)).toMatchObject({ status: 'QUEUED', waitingFor: null })
  const locks = await database.pool.query('select job_id, days::text from window_locks')
  expect(locks.rows).toEqual([{ job_id: first, days: '[2024-01-01,2024-02-01)' }])
})

test('a job is not retried once the days or scopes of its dataset have changed, even if they were changed back', async () => {
  const id = await failed()
  await declare(id, `jsonb_set(v.definition, '{title,en}', '"Another title"')`)
  const moved = () => inTransaction(database.db, (tx) => lockDatasetOfJob(tx, id))
  expect(await moved()).toMatchObject({ moved: false })
  await declare(id, `v.definition - 'windowColumn' - 'partitioned'`)
  expect(await moved()).toMatchObject({ moved: true })
  await declare(
    id,
    `(select definition from dataset_versions o where o.dataset_id = d.id and o.version = d.current_version - 2)`,
  )
  expect(await moved()).toMatchObject({ moved: true })
  await expect(retry(id)).rejects.toMatchObject({ code: 'illegal_transition' })
  await database.pool.query(
    `update datasets set current_version = (select dataset_version from imports where job_id = $1) where id = (select dataset_id from jobs where id = $1)`,
    [id],
  )
})

test('the days and scopes of a dataset cannot change while it has an open job', async () => {
  const dataset = { id: await database.datasetId('production'), code: 'production' }
  const change = () => inTransaction(database.db, (tx) => assertNoActiveJobs(tx, dataset))
  await failed()
  await database.accept({ dataset: 'orders' }, { as: owner })
  await change()
  const id = await database.accept({}, { as: owner })
  await expect(change()).rejects.toMatchObject({ code: 'dataset_busy', extra: { jobs: [id] } })
  await database.pool.query(`update jobs set status = 'PROCESSING' where id = $1`, [id])
  await expect(change()).rejects.toMatchObject({ code: 'dataset_busy' })
})
