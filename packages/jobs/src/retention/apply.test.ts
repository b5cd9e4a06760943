import type { Principal } from '@aduana/contracts/identity'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { createLogger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { retryJob } from '../lifecycle/retry.ts'
import { findArtifact, readJob } from '../read/jobs.ts'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { FILES, type Kept, type KeptHistory, keptHistory, NOW, STORES } from '../testing/kept-imports.ts'
import { applyRetention } from './apply.ts'
import { pruneExpired } from './housekeeping.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
let database: JobsDatabase
let admin: Principal
let production: string
beforeAll(async () => {
  database = await openJobsDatabase()
  admin = await database.addUser('admin')
  production = await database.datasetId('production')
})
afterAll(() => database.drop())

describe.each(Object.keys(STORES))('the retention of files in %s', (name) => {
  let kept: Kept
  let history: KeptHistory
  beforeEach(async () => {
    const open = STORES[name]
    if (!open) throw new Error(name)
    kept = await open()
    await database.clear()
    history = keptHistory(database, kept.store, production)
  })
  afterEach(async () => {
    disarmFailPoints()
    await kept.close()
  })

  const apply = (now = NOW) => applyRetention(database.db, kept.store, logger, now)

  const anImport: KeptHistory['anImport'] = (...given) => history.anImport(...given)
  const failed = (days: number, files = FILES) =>
    anImport(days, files, { status: 'FAILED', loaded_at: null, error: '{"code":"internal","detail":"x"}' })

  /** The files of a job that are not marked as removed. Checks that exactly these are in the store. */
  async function left(id: string): Promise<string[]> {
    const { rows } = await database.pool.query(
      'select name, key, removed_at from artifacts where job_id = $1 order by name',
      [id],
    )
    const there: string[] = []
    for await (const { key } of kept.store.list(`jobs/${id}`)) there.push(key)
    const pointed = rows.filter((row: { removed_at: Date | null }) => row.removed_at === null)
    expect(there.sort()).toEqual(pointed.map(({ key }: { key: string }) => key).sort())
    return pointed.map((row: { name: string }) => row.name)
  }

  test('depends on the kind of the file and on the settings of its dataset', async () => {
    const files = [...FILES, 'duplicates.ndjson', 'before-image.parquet']
    const young = await anImport(13, files)
    const middle = await anImport(15, files)
    const older = await anImport(91, files)
    const old = await anImport(401, files)
    expect(await apply()).toMatchObject({ files: 3 + 4 + 7 })
    expect(await left(young)).toEqual([...files].sort())
    expect(await left(middle)).toEqual([
      'before-image.parquet',
      'duplicates.ndjson',
      'original',
      'rejects.ndjson',
    ])
    expect(await left(older)).toEqual(['duplicates.ndjson', 'original', 'rejects.ndjson'])
    expect(await left(old)).toEqual([])
  })

  test('reports what it removed once, however often it is applied', async () => {
    await anImport(401, FILES)
    const first = await apply()
    expect(first).toEqual({ files: 5, bytes: FILES.join('').length })
    expect(await apply()).toEqual({ files: 0, bytes: 0 })
    const { rows } = await database.pool.query(
      `select actor, subject_type, subject_id, details from audit_log where action = 'retention.remove'
       order by at desc limit 1`,
    )
    expect(rows).toEqual([
      {
        ...{ actor: null, subject_type: 'dataset', subject_id: production },
        details: {
          files: 5,
          bytes: first.bytes,
          originals: 400,
          intermediates: 14,
          rejects: 400,
          undoDays: 90,
        },
      },
    ])
  })

  test('removes nothing of a job that is open, or has an open undo', async () => {
    const working = await anImport(500, FILES, { status: 'PROCESSING', completed_at: null, loaded_at: null })
    const parent = await anImport(500, FILES)
    await database.addJob({ type: 'undo', status: 'QUEUED', parent_id: parent })
    await apply()
    expect(await left(working)).toEqual([...FILES].sort())
    expect(await left(parent)).toEqual([...FILES].sort())
  })

  test('keeps the files that a retry of a failed job needs, and the retry is refused once they are removed', async () => {
    const fresh = await failed(13)
    const stale = await failed(15)
    for (const id of [fresh, stale])
      await database.pool.query(
        `insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at)
         select $1, unnest('{parse,validate,quarantine}'::text[]), 1, 1, 'done', 'w', now()`,
        [id],
      )
    const early = await failed(15)
    await apply()
    expect(await left(fresh)).toEqual([...FILES].sort())
    expect(await left(stale)).toEqual(['original', 'rejects.ndjson'])
    expect(await retryJob(database.db, admin, fresh)).toMatchObject({ status: 'QUEUED' })
    await expect(retryJob(database.db, admin, stale)).rejects.toMatchObject({
      code: 'artifact_expired',
      message: expect.stringMatching(
        /the stage load reads the file "clean.parquet", which was removed at 2031-06-01T12.*Upload/,
      ),
    })
    expect(await database.job(stale)).toMatchObject({ status: 'FAILED' })
    // It failed in parse, so a retry needs only the original.
    expect(await retryJob(database.db, admin, early)).toMatchObject({ status: 'QUEUED' })
  })

  test('keeps the original and the rejects while rejects are open, or would be open again after an undo', async () => {
    const states = ['open', 'superseded']
    const ids = await Promise.all(states.map(() => anImport(500, FILES)))
    await Promise.all(states.map((state, index) => history.reject(ids[index] ?? '', state)))
    const by = [
      await anImport(10, []),
      await anImport(100, []),
      await anImport(10, [], { batch_deleted: true }),
    ]
    const superseded = await Promise.all(by.map(() => anImport(500, FILES)))
    await Promise.all(superseded.map((id, index) => history.reject(id, 'superseded', by[index] ?? null)))
    await apply()
    const needed = ['original', 'rejects.ndjson']
    expect(await Promise.all(ids.map(left))).toEqual([needed, []])
    expect(await Promise.all(superseded.map(left))).toEqual([needed, [], []])
  })

  test('keeps a before-image while its import can be undone', async () => {
    const image = ['before-image.parquet']
    const undoable = await anImport(89, image)
    const undone = await anImport(89, image, { batch_deleted: true })
    const over = await anImport(91, image)
    await apply()
    expect(await Promise.all([undoable, undone, over].map(left))).toEqual([image, [], []])
  })

  test('removes before-images even if the same days are sent repeatedly', async () => {
    const image = ['before-image.parquet']
    const days = [300, 200, 100, 80, 10]
    const chain: string[] = []
    for (const each of days) {
      const id = await anImport(each, image)
      await history.replaced(id, chain.at(-1) ?? null)
      chain.push(id)
    }
    await apply()
    expect(await Promise.all(chain.map(left))).toEqual([[], [], [], image, image])
  })

  test('keeps the before-images of a dataset while an undo of it is open', async () => {
    const image = ['before-image.parquet']
    const over = await anImport(91, image)
    const first = await anImport(89.9, image)
    const undo = await database.addJob({
      ...{ type: 'undo', status: 'QUEUED', parent_id: first, dataset_id: production },
    })
    await apply()
    expect(await left(over)).toEqual(image)
    await database.pool.query(`update jobs set status = 'CANCELLED', completed_at = now() where id = $1`, [
      undo,
    ])
    await apply()
    expect(await Promise.all([over, first].map(left))).toEqual([[], image])
  })

  test('of a process that died before it removed the bytes is completed by housekeeping', async () => {
    const id = await anImport(401, FILES)
    armFailPoint('retention.after-commit', () => {
      throw new Error('died')
    })
    await expect(apply()).rejects.toThrow('died')
    disarmFailPoints()
    const keys = async () => {
      const found: string[] = []
      for await (const { key } of kept.store.list(`jobs/${id}`)) found.push(key)
      return found.length
    }
    expect(await keys()).toBe(5)
    expect(await apply()).toMatchObject({ files: 0 })
    const later = new Date(Date.now() + 2 * 60 * 60_000)
    expect(await pruneExpired(database.db, kept.store, logger, later)).toMatchObject({ files: 5 })
    expect(await left(id)).toEqual([])
  })

  test('is applied by one process at a time, and in batches', async () => {
    await Promise.all(Array.from({ length: 30 }, () => anImport(401, ['original'])))
    let inside = 0
    let most = 0
    armFailPoint('retention.after-commit', async () => {
      inside += 1
      most = Math.max(most, inside)
      await sql`select pg_sleep(0.05)`.execute(database.db)
      inside -= 1
    })
    const runs = await Promise.all(Array.from({ length: 5 }, () => apply()))
    expect(runs.reduce((sum, { files }) => sum + files, 0)).toBe(30)
    expect(most).toBe(1)
  })

  test('removes nothing of a job that is being retried', async () => {
    const id = await failed(401)
    const client = await database.pool.connect()
    try {
      await client.query('begin')
      await client.query(
        `update jobs set status = 'QUEUED', completed_at = null, error = null where id = $1`,
        [id],
      )
      expect(await apply()).toMatchObject({ files: 0 })
      await client.query('commit')
    } finally {
      client.release()
    }
    expect(await apply()).toMatchObject({ files: 0 })
    expect(await left(id)).toEqual([...FILES].sort())
  })

  test('is reported when a removed file is read', async () => {
    const id = await anImport(401, FILES)
    await apply()
    const job = await readJob(database.db, admin, id)
    expect(job.artifacts).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'original', removedAt: NOW.toISOString() })]),
    )
    await expect(findArtifact(database.db, admin, id, 'original')).rejects.toMatchObject({
      code: 'artifact_expired',
      extra: { removedAt: NOW.toISOString() },
      message: expect.stringContaining('was removed at 2031-06-01T12:00:00.000Z'),
    })
  })
})
