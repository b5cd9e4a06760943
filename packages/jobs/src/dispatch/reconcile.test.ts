import { createFlows, type Flows } from '@aduana/queue/flow'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { beginStage } from '../stage-attempts/stage-attempts.ts'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { admit } from './dispatch.ts'
import { failLostJob, reconcile, type Suspicions } from './reconcile.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const LIMITS = { maxActive: 10, maxActivePerTenant: 10 }

let database: JobsDatabase
let redis: TestRedis
let flows: Flows
beforeAll(async () => {
  database = await openJobsDatabase()
  redis = createTestRedis()
  flows = createFlows({ redisUrl: redis.url, prefix: redis.prefix, logger })
  // A producer fails while its connection is being made.
  await until(
    () =>
      flows.waiting().then(
        () => true,
        () => false,
      ),
    { what: 'Redis answers' },
  )
})
afterAll(async () => {
  await flows.close()
  await redis.close()
  await database.drop()
})
beforeEach(() => database.clear())

/** Inserts a job that was admitted some time ago and enqueues its flow. */
async function inWork(): Promise<string> {
  const id = await database.addJob()
  for (const flow of await admit(database.db, LIMITS)) await flows.add(flow)
  await past(id)
  return id
}
const past = (id: string) =>
  database.pool.query(`update jobs set admitted_at = now() - interval '1 minute' where id = $1`, [id])
const pass = (suspicions: Suspicions) => reconcile(database.db, flows, suspicions, logger)
const lost = async (id: string) => (await database.job(id)).admitted_at === null

test('a job whose flow waits in BullMQ is not readmitted', async () => {
  const id = await inWork()
  const suspicions: Suspicions = new Map()
  await pass(suspicions)
  await pass(suspicions)
  expect(suspicions.size).toBe(0)
  expect(await lost(id)).toBe(false)
})

test('a job whose flow is missing from Redis is admitted again, once it was found missing twice', async () => {
  const id = await inWork()
  await redis.wipe()
  const suspicions: Suspicions = new Map()
  await pass(suspicions)
  expect(await lost(id)).toBe(false)
  await pass(suspicions)
  expect(await lost(id)).toBe(true)
  const [flow] = await admit(database.db, LIMITS)
  expect(flow).toMatchObject({ jobId: id, attempt: 2 })
  // A loss in Redis does not count against the job.
  expect(await database.job(id)).toMatchObject({ lost_count: 0, status: 'PROCESSING' })
})

test('a heartbeat counts for its own attempt, not for the next one', async () => {
  const id = await inWork()
  expect(await beginStage(database.db, { jobId: id, attempt: 1 }, 'parse', 'host:1')).toMatchObject({
    kind: 'begun',
  })
  await redis.wipe()
  const suspicions: Suspicions = new Map()
  for (const _ of [1, 2]) await pass(suspicions)
  expect(await lost(id)).toBe(false)
  await database.pool.query('update jobs set attempt = 2 where id = $1', [id])
  for (const _ of [1, 2]) await pass(suspicions)
  expect(await lost(id)).toBe(true)
})

test('a job whose stage was delayed by hand is admitted again, which does not count as a loss', async () => {
  const id = await inWork()
  const stage = `${id}_1_parse`
  const queue = `${redis.prefix}:1-parse`
  const put = async (milliseconds: number) => {
    await redis.redis.lrem(`${queue}:wait`, 0, stage)
    await redis.redis.zadd(`${queue}:delayed`, (Date.now() + milliseconds) * 0x1000, stage)
  }
  const suspicions: Suspicions = new Map()
  await put(60_000)
  await pass(suspicions)
  expect(suspicions.size).toBe(0)
  await put(3_600_000)
  await pass(suspicions)
  await pass(suspicions)
  expect(await lost(id)).toBe(true)
  expect(await database.job(id)).toMatchObject({ lost_count: 0 })
})

test('a suspicion about one attempt does not count for the next', async () => {
  const id = await inWork()
  await redis.wipe()
  const suspicions: Suspicions = new Map()
  await pass(suspicions)
  await pass(suspicions)
  await admit(database.db, LIMITS)
  await past(id)
  await pass(suspicions)
  expect(await lost(id)).toBe(false)
})

test('a stage attempt with a recent heartbeat is alive, whatever its state in Redis', async () => {
  const id = await inWork()
  await beginStage(database.db, { jobId: id, attempt: 1 }, 'parse', 'host:1')
  await redis.wipe()
  const suspicions: Suspicions = new Map()
  await pass(suspicions)
  await pass(suspicions)
  expect(await lost(id)).toBe(false)
})

test('a job that has just been admitted, waits, or is final is not checked', async () => {
  const now = { status: 'PROCESSING', attempt: 1, admitted_at: new Date() }
  const old = { ...now, admitted_at: new Date(Date.now() - 60_000) }
  const ids = [
    await database.addJob(now),
    await database.addJob({ ...old, waiting_for: 'window' }),
    await database.addJob({ ...old, status: 'CANCELLED', completed_at: new Date() }),
  ]
  const suspicions: Suspicions = new Map()
  await pass(suspicions)
  await pass(suspicions)
  for (const id of ids) expect((await database.job(id)).version).toBe('0')
})

test('a job whose workers die repeatedly fails, with advice', async () => {
  const id = await inWork()
  const die = async () => {
    const { attempt } = await database.job(id)
    const payload = { jobId: id, attempt: Number(attempt) }
    await failLostJob(database.db, payload, 'validate', 'its worker died')
    await admit(database.db, LIMITS)
  }
  for (let death = 1; death <= 4; death += 1) {
    await die()
    expect(await database.job(id)).toMatchObject({
      status: 'PROCESSING',
      lost_count: death,
      attempt: death + 1,
    })
  }
  await die()
  expect(await database.job(id)).toMatchObject({
    status: 'FAILED',
    error: { code: 'worker_lost', stage: 'validate', detail: expect.stringContaining('Nothing was loaded') },
  })
})

test('a job that has loaded never fails', async () => {
  const id = await inWork()
  await database.pool.query('update jobs set loaded_at = now(), lost_count = 50 where id = $1', [id])
  await failLostJob(database.db, { jobId: id, attempt: 1 }, 'fan-out', 'its worker died')
  expect(await database.job(id)).toMatchObject({ status: 'PROCESSING', admitted_at: null, lost_count: 51 })
})

test('a report about an overtaken attempt changes nothing', async () => {
  const id = await inWork()
  await failLostJob(database.db, { jobId: id, attempt: 7 }, 'parse', 'its worker died')
  expect(await lost(id)).toBe(false)
})
