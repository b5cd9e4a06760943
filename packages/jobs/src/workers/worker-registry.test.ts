import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import {
  countAliveAttempts,
  deregisterWorker,
  pruneWorkers,
  readQueueDepth,
  recordWorkerHeartbeat,
} from './worker-registry.ts'

let database: JobsDatabase
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.clear()
  await database.pool.query('delete from workers')
})

const demandOf = async (stage: string) =>
  (await readQueueDepth(database.db)).find((demand) => demand.stage === stage)
const addStageAttempt = (jobId: string, stage: string, state: 'running' | 'done', heartbeat = 'now()') =>
  database.pool.query(
    `insert into stage_results (job_id, stage, attempt, try, state, worker, heartbeat_at, finished_at)
     values ($1, $2, 1, 1, $3, 'w1', ${heartbeat}, case $3 when 'done' then now() end)`,
    [jobId, stage, state],
  )

test('a worker serves its stages from its first heartbeat until it deregisters', async () => {
  await recordWorkerHeartbeat(database.db, 'w1', ['parse', 'load'])
  await recordWorkerHeartbeat(database.db, 'w2', ['load'])
  await recordWorkerHeartbeat(database.db, 'w1', ['load'])
  expect([await demandOf('parse'), await demandOf('load')]).toMatchObject([
    { consumers: 0 },
    { consumers: 2 },
  ])
  await deregisterWorker(database.db, 'w2')
  expect(await demandOf('load')).toMatchObject({ consumers: 1 })
})

test('a worker without recent heartbeats serves nothing, and is removed a day later', async () => {
  await recordWorkerHeartbeat(database.db, 'w1', ['load'])
  await database.pool.query(`update workers set seen_at = now() - interval '31 seconds'`)
  expect(await demandOf('load')).toMatchObject({ consumers: 0 })
  expect(await pruneWorkers(database.db)).toBe(0)
  await database.pool.query(`update workers set seen_at = now() - interval '25 hours'`)
  expect(await pruneWorkers(database.db)).toBe(1)
})

test('a job waits for its first stage that is not done, from the time at which it could continue', async () => {
  const created = new Date('2024-01-01T00:00:00Z')
  await database.addJob({ created_at: created })
  const inWork = { status: 'PROCESSING', attempt: 1, admitted_at: new Date('2024-01-02T00:00:00Z') }
  const id = await database.addJob(inWork)
  await addStageAttempt(id, 'parse', 'done')
  expect(await demandOf('parse')).toMatchObject({ waiting: 1, since: created })
  const validate = await demandOf('validate')
  const { rows } = await database.pool.query('select finished_at from stage_results where job_id = $1', [id])
  expect(validate).toMatchObject({ waiting: 1, since: rows[0]?.finished_at })
})

test('a job in progress, one that waits for something else and one that is not due yet wait for no worker', async () => {
  const inWork = { status: 'PROCESSING', attempt: 1, admitted_at: new Date() }
  await addStageAttempt(await database.addJob(inWork), 'parse', 'running')
  await database.addJob({ waiting_for: 'window' })
  await database.addJob({ start_at: new Date(Date.now() + 3_600_000) })
  await database.addJob({ status: 'CANCELLED', completed_at: new Date() })
  expect((await readQueueDepth(database.db)).map(({ waiting }) => waiting)).toEqual([0, 0, 0, 0, 0])
})

test('a stage without recent heartbeats waits again, and does not count as a live attempt', async () => {
  const inWork = { status: 'PROCESSING', attempt: 1, admitted_at: new Date() }
  const [alive, dead] = [await database.addJob(inWork), await database.addJob(inWork)]
  await addStageAttempt(alive, 'parse', 'running')
  await addStageAttempt(dead, 'parse', 'running', `now() - interval '16 seconds'`)
  expect(await demandOf('parse')).toMatchObject({ waiting: 1 })
  expect(await countAliveAttempts(database.db, 'w1', [alive, dead])).toBe(1)
  expect(await countAliveAttempts(database.db, 'w2', [alive, dead])).toBe(0)
})
