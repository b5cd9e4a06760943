import type { Principal } from '@aduana/contracts/identity'
import { UndoRequest } from '@aduana/contracts/undo'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { undoImport } from './undo-import.ts'

let database: JobsDatabase
let admin: Principal
let owner: Principal
beforeAll(async () => {
  database = await openJobsDatabase()
  admin = await database.addUser('admin')
  owner = await database.addUser('operator')
})
afterAll(() => database.drop())
beforeEach(() => database.clear())

interface Loaded {
  as?: Principal
  /** Number of rows that it replaced; undefined when unknown. */
  before?: number
  /** The import that owned its day before. */
  from?: string
  day?: string
  change?: string
}

/** Inserts a loaded import of the owner, which replaced nothing by default. */
async function loaded(given: Loaded = {}): Promise<string> {
  const { as = owner, before = 0, from, day = '2024-01-01', change } = given
  const id = await database.accept({}, { as })
  const { pool } = database
  await pool.query(
    `update jobs set status = 'COMPLETED', completed_at = clock_timestamp(), loaded_at = clock_timestamp(), records = 0,
      loaded = 0, inserted = 0, updated = 0, unchanged = 0, removed = 0, quarantined = 0, duplicates = 0, conflicts = 0
      where id = $1`,
    [id],
  )
  if (change !== undefined) await pool.query(`update jobs set ${change} where id = $1`, [id])
  await pool.query(
    `insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at, output)
      values ($1, 'load', 1, 1, 'done', 'test.1', clock_timestamp(), $2)`,
    [id, 'before' in given && given.before === undefined ? {} : { beforeRows: before }],
  )
  await pool.query(
    `insert into window_ledger_before (job_id, dataset_id, day, former_job_id, former_rows)
      select $1, dataset_id, $2, $3, case when $3::uuid is null then null else 1 end from jobs where id = $1`,
    [id, day, from ?? null],
  )
  return id
}
const undo = (id: string, options: { as?: Principal; unwind?: boolean; maxQueued?: number } = {}) => {
  const { as = admin, unwind = false, maxQueued = 1000 } = options
  return undoImport({ db: database.db, maxQueued }, as, id, UndoRequest.parse({ unwind }))
}
const refused = (asked: Promise<unknown>, code: string) => expect(asked).rejects.toMatchObject({ code })

test('an import is undone by a job, and by one at a time', async () => {
  const id = await loaded()
  const { status, body } = await undo(id, { as: owner })
  expect(status).toBe(202)
  expect(await database.job(body.id)).toMatchObject({ type: 'undo', status: 'QUEUED', parent_id: id })
  await refused(undo(id), 'undo_open')
})

test('of two concurrent undos of an import one is accepted', async () => {
  const id = await loaded()
  const asked = await Promise.allSettled([undo(id), undo(id), undo(id)])
  expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('an undo beyond the queue capacity is refused', async () => {
  const id = await loaded()
  await database.addJob()
  await refused(undo(id, { maxQueued: 1 }), 'queue_full')
  expect((await undo(id, { maxQueued: 2 })).status).toBe(202)
})

test.each([
  ['was a dry run', 'dry_run = true', 'illegal_transition'],
  ['was taken back', 'batch_deleted = true', 'already_undone'],
  [
    'has failed',
    `status = 'FAILED', loaded_at = null, error = '{"code":"internal","detail":"x"}'`,
    'illegal_transition',
  ],
  ['is under way', `status = 'PROCESSING', completed_at = null`, 'illegal_transition'],
  ['is past its time', `loaded_at = clock_timestamp() - interval '400 days'`, 'undo_expired'],
])('an import that %s is not taken back', async (_, change, code) => {
  await refused(undo(await loaded({ change })), code)
})

describe('the rows that an import replaced', () => {
  const image = (id: string, removedAt: Date | null) =>
    database.pool.query(
      `insert into artifacts (job_id, name, key, media_type, bytes, sha256, stage, attempt, removed_at)
        values ($1::uuid, 'before-image.csv.gz', 'jobs/' || $1::text, 'application/gzip', 1, repeat('a', 64), 'load', 1, $2)`,
      [id, removedAt],
    )

  test('must still be stored', async () => {
    await refused(undo(await loaded({ before: 1 })), 'undo_expired')
    const removed = await loaded({ before: 1 })
    await image(removed, new Date())
    await refused(undo(removed), 'undo_expired')
    const kept = await loaded({ before: 1 })
    await image(kept, null)
    expect((await undo(kept)).status).toBe(202)
  })
})

describe('an import with later ones on its days', () => {
  test('is undone only with them, newest first', async () => {
    const first = await loaded()
    const second = await loaded({ from: first })
    const third = await loaded({ from: second })
    await expect(undo(first)).rejects.toMatchObject({
      code: 'undo_overlap',
      extra: { jobs: [third, second] },
    })
    expect((await undo(first, { unwind: true })).status).toBe(202)
    expect((await undo(third)).status).toBe(202)
  })

  test('is not blocked by imports of other days or undone ones', async () => {
    const first = await loaded()
    await loaded({ day: '2024-01-02' })
    await loaded({ from: first, change: 'batch_deleted = true' })
    expect((await undo(first)).status).toBe(202)
  })

  test('is undone together with imports of other users by an admin only', async () => {
    const first = await loaded()
    const other = await loaded({ from: first, as: await database.addUser('operator') })
    await expect(undo(first, { as: owner, unwind: true })).rejects.toMatchObject({
      code: 'forbidden',
      extra: { jobs: [other] },
    })
    expect((await undo(first, { unwind: true })).status).toBe(202)
  })
})

describe('the right to undo an import', () => {
  test('needs the role operator and access to the import', async () => {
    const viewer = await database.addUser('viewer')
    const id = await loaded({ as: owner })
    await refused(undo(id, { as: viewer }), 'forbidden')
    await refused(undo(id, { as: await database.addUser('operator') }), 'not_found')
  })

  test.each(['companies', 'warehouses'] as const)('covers only the %s of the user', async (scope) => {
    const id = await loaded({ as: owner, change: `${scope} = '{A,B}'` })
    const narrow = { ...owner, [scope]: ['A'] }
    await database.pool.query(`update users set ${scope} = '{A}' where id = $1`, [owner.userId])
    await refused(undo(id, { as: narrow }), 'forbidden')
    await database.pool.query(`update users set ${scope} = null where id = $1`, [owner.userId])
    expect((await undo(id, { as: { ...owner, [scope]: ['A', 'B', 'C'] } })).status).toBe(202)
  })
})
