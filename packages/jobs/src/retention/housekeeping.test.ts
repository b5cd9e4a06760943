import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import { createLogger } from '@aduana/runtime/logger'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { wakeWaiters } from '../dispatch/dispatch.ts'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { pruneExpired } from './housekeeping.ts'

let database: JobsDatabase
let root: string
beforeAll(async () => {
  database = await openJobsDatabase()
  root = await mkdtemp(join(tmpdir(), 'aduana-housekeeping-'))
})
afterAll(async () => {
  await database.drop()
  await rm(root, { recursive: true })
})

test('a window that a final job still holds is released and logged, and the waiting job gets it', async () => {
  const window = { from: '2024-03-01', to: '2024-03-04' }
  const holder = await database.accept(window)
  const waiter = await database.accept({ ...window, onConflict: 'wait' })
  // As after a restore, during which triggers do not run.
  await database.pool.query(`begin; set local session_replication_role = replica;
    update jobs set status = 'CANCELLED', completed_at = now() where id = '${holder}'; commit`)
  const logged: unknown[] = []
  const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
  logger.error = (line: unknown) => void logged.push(line)

  expect(await pruneExpired(database.db, createDiskStore(root), logger)).toMatchObject({ windows: 1 })
  expect(logged).toEqual([{ event: 'housekeeping.window_of_final_job', jobId: holder, what: 'lock' }])
  await wakeWaiters(database.db)
  expect(await database.job(waiter)).toMatchObject({ waiting_for: null, message: 'The window is free' })
  expect(await pruneExpired(database.db, createDiskStore(root), logger)).toMatchObject({ windows: 0 })
})
