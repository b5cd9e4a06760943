import type { Principal } from '@aduana/contracts/identity'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readPreview } from '../lifecycle/approve.ts'
import { retryJob } from '../lifecycle/retry.ts'
import { readJob } from '../read/jobs.ts'
import { listRejects } from '../read/rejects.ts'
import { type JobsDatabase, openJobsDatabase, silent } from '../testing/jobs.ts'
import { type Kept, type KeptHistory, keptHistory, NOW, STORES } from '../testing/kept-imports.ts'
import { undoImport } from '../undo/undo-import.ts'
import { applyRetention } from './apply.ts'
import { pruneJobs } from './prune-jobs.ts'

let database: JobsDatabase
let kept: Kept
let history: KeptHistory
let admin: Principal
let production: string
beforeAll(async () => {
  database = await openJobsDatabase()
  const open = STORES['a disk store']
  if (!open) throw new Error('there is no disk store')
  kept = await open()
  admin = await database.addUser('admin')
  production = await database.datasetId('production')
})
afterAll(async () => {
  await kept.close()
  await database.drop()
})
beforeEach(async () => {
  await database.clear()
  history = keptHistory(database, kept.store, production)
})

const HISTORY = { days: 120, now: NOW }
const anImport = (days: number, change: Record<string, unknown> = {}) => history.anImport(days, [], change)
const FAILED = { status: 'FAILED', loaded_at: null, error: '{"code":"internal","detail":"x"}' }

/** Gives a job stage attempts: one done for each stage, and before it one that failed and one that was parked. */
const addStageAttempts = (id: string) =>
  database.pool.query(
    `insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at, output)
     select $1, stage, 1, n, (array['failed', 'parked', 'done'])[n], 'w', now(),
       case when n = 3 then '{"beforeRows": 0, "loaded": 1}'::jsonb end
     from unnest('{parse,validate,quarantine,load,fan-out}'::text[]) stage, generate_series(1, 3) n`,
    [id],
  )

async function count(table: string, id: string): Promise<number> {
  const { rows } = await database.pool.query(`select count(*)::int as n from ${table} where job_id = $1`, [
    id,
  ])
  return rows[0]?.n
}

describe('the rows that an undo needs', () => {
  test('stay as long as the dataset allows an undo, and are removed then, however often days are sent again', async () => {
    const ids: string[] = []
    for (const days of [300, 200, 91, 89, 10]) {
      const id = await anImport(days)
      await history.replaced(id, ids.at(-1) ?? null)
      ids.push(id)
    }
    expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ ledgerBefore: 3 })
    expect(await Promise.all(ids.map((id) => count('window_ledger_before', id)))).toEqual([0, 0, 0, 1, 1])
    expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ ledgerBefore: 0 })
  })

  test('stay while an undo of the dataset is open', async () => {
    const id = await anImport(91)
    await history.replaced(id, null)
    await database.addJob({ type: 'undo', status: 'QUEUED', parent_id: id, dataset_id: production })
    expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ ledgerBefore: 0 })
  })

  test('are named as missing when an undo is requested later, also after `undoDays` was raised', async () => {
    // Loaded eighty days before today, so that `undoDays` is not over by the clock.
    const id = await anImport(Math.round((NOW.getTime() - Date.now()) / 86_400_000) + 80)
    await addStageAttempts(id)
    await history.replaced(id, null)
    const { rows } = await database.pool.query('select loaded_at from jobs where id = $1', [id])
    const later = new Date(rows[0].loaded_at.getTime() + 91 * 86_400_000)
    await pruneJobs(database.db, { days: 120, now: later })
    expect(await count('window_ledger_before', id)).toBe(0)
    await expect(
      undoImport({ db: database.db, maxQueued: 10, maxQueuedPerTenant: 10 }, admin, id, { unwind: true }),
    ).rejects.toMatchObject({
      code: 'undo_expired',
      message: expect.stringContaining('was removed at the end of its retention'),
    })
  })
})

describe('stage attempts', () => {
  test('of a job that can be neither undone nor retried are removed; of others, those that did not complete', async () => {
    const young = await anImport(119)
    const loaded = await anImport(121)
    const dryRun = await anImport(121, { loaded_at: null, dry_run: true })
    const failed = await anImport(121, FAILED)
    const cancelled = await anImport(121, { status: 'CANCELLED', loaded_at: null })
    const ids = [young, loaded, dryRun, failed, cancelled]
    for (const id of ids) await addStageAttempts(id)
    expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ stageAttempts: 15 * 3 + 10 })
    expect(await Promise.all(ids.map((id) => count('stage_results', id)))).toEqual([15, 0, 0, 5, 0])
    expect((await readJob(database.db, admin, loaded)).attempts).toEqual([])
  })

  test('that are done stay while the import can be undone', async () => {
    const id = await anImport(60)
    await addStageAttempts(id)
    expect(await pruneJobs(database.db, { days: 30, now: NOW })).toMatchObject({ stageAttempts: 10 })
    expect(await count('stage_results', id)).toBe(5)
  })

  test('that are done stay for a retry of a failed job, however old it is', async () => {
    const id = await anImport(200, FAILED)
    await addStageAttempts(id)
    await pruneJobs(database.db, HISTORY)
    expect(await retryJob(database.db, admin, id)).toMatchObject({ status: 'QUEUED' })
    await pruneJobs(database.db, HISTORY)
    expect(await count('stage_results', id)).toBe(5)
  })
})

test('a preview is removed with the history of its job, and reading it reports that', async () => {
  const [young, old, open] = [
    await anImport(119),
    await anImport(121),
    await anImport(121, { status: 'PROCESSING', completed_at: null, loaded_at: null }),
  ]
  await database.pool.query(
    `insert into load_previews (job_id, basis_sha256, preview) select id, repeat('0', 64), '{}' from jobs`,
  )
  expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ previews: 1 })
  const left = await Promise.all([young, old, open].map((id) => count('load_previews', id)))
  expect(left).toEqual([1, 0, 1])
  await expect(readPreview(database.db, admin, old)).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('Previews of jobs that ended long ago are removed'),
  })
})

describe('rejects', () => {
  test('are removed with their file once nothing can reopen them, and reading them reports that', async () => {
    const by = await anImport(10)
    const rejecting = (days: number) =>
      history.anImport(days, ['rejects.ndjson'], { quarantined: 1, records: 1 })
    const ids = await Promise.all([rejecting(401), rejecting(399), rejecting(401), rejecting(401)])
    const [gone = '', young = '', isOpen = '', undoable = ''] = ids
    await history.reject(gone, 'superseded')
    await history.reject(young, 'superseded')
    await history.reject(isOpen, 'open')
    await history.reject(undoable, 'superseded', by)
    expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ rejects: 1 })
    expect(await Promise.all(ids.map((id) => count('quarantined_records', id)))).toEqual([0, 1, 1, 1])
    await applyRetention(database.db, kept.store, silent, NOW)
    const sources = { db: database.db, store: kept.store }
    await expect(listRejects(sources, admin, gone, { limit: 10 })).rejects.toMatchObject({
      code: 'artifact_expired',
      extra: { removedAt: NOW.toISOString() },
    })
    expect((await listRejects(sources, admin, isOpen, { limit: 10 })).items).toHaveLength(1)
  })
})

test('a job that is being retried loses nothing', async () => {
  const id = await anImport(200, FAILED)
  await addStageAttempts(id)
  const client = await database.pool.connect()
  try {
    await client.query('begin')
    await client.query('select from jobs where id = $1 for update', [id])
    expect(await pruneJobs(database.db, HISTORY)).toMatchObject({ stageAttempts: 0 })
    await client.query('commit')
  } finally {
    client.release()
  }
})
