import { SCHEDULE_QUEUE, SCHEDULES, type ScheduleName } from '@aduana/contracts/schedules'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { Queue } from 'bullmq'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Schedules, startSchedules } from './schedules.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let redis: TestRedis
let queue: Queue
let schedules: Schedules[] = []
beforeEach(() => {
  redis = createTestRedis()
  queue = new Queue(SCHEDULE_QUEUE, { connection: redis.redis, prefix: redis.prefix })
})
afterEach(async () => {
  await Promise.all(schedules.map((one) => one.close()))
  schedules = []
  await queue.close()
  await redis.close()
})

function start(ran: ScheduleName[]): void {
  const handler = (name: ScheduleName) => async () => void ran.push(name)
  const handlers = { housekeeping: handler('housekeeping'), retention: handler('retention') }
  schedules.push(startSchedules({ redisUrl: redis.url, prefix: redis.prefix, logger, handlers }))
}

const registered = async () => (await queue.getJobSchedulers()).map(({ key }) => key).sort()
const NAMES = SCHEDULES.map(({ name }) => name).sort()

test('several processes register each schedule once, and remove those that no longer exist', async () => {
  await queue.upsertJobScheduler('of an earlier version', { every: 3_600_000 }, { name: 'x' })
  const ran: ScheduleName[] = []
  start(ran)
  start(ran)
  await until(async () => String(await registered()) === String(NAMES), { what: 'they are registered' })
})

test('a schedule that is due runs its own task, once among several processes; an unknown one fails', async () => {
  const ran: ScheduleName[] = []
  start(ran)
  start(ran)
  const due = await queue.add('housekeeping', {})
  const unknown = await queue.add('of an earlier version', {}, { attempts: 3 })
  await until(async () => (await due.getState()) === 'completed', { what: 'the task has run' })
  await until(async () => (await unknown.getState()) === 'failed', { what: 'the unknown one has failed' })
  expect(ran).toEqual(['housekeeping'])
})
