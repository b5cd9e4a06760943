import { randomUUID } from 'node:crypto'
import { METRIC_QUEUE } from '@aduana/contracts/metrics/queue'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { Queue } from 'bullmq'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createMetricQueue, type MetricJob, type MetricQueue } from './metric-queue.ts'
import { type MetricJobHandler, type MetricWorkers, startMetricWorkers } from './metric-workers.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let redis: TestRedis
let producer: MetricQueue
let queue: Queue
const started: MetricWorkers[] = []
beforeEach(() => {
  redis = createTestRedis()
  producer = createMetricQueue({ redisUrl: redis.url, prefix: redis.prefix, logger })
  queue = new Queue(METRIC_QUEUE, { connection: redis.redis, prefix: redis.prefix })
})
afterEach(async () => {
  await Promise.all(started.splice(0).map((workers) => workers.close()))
  await producer.close()
  await queue.close()
  await redis.close()
})

function consume(handler: MetricJobHandler): MetricWorkers {
  const workers = startMetricWorkers({
    ...{ redisUrl: redis.url, prefix: redis.prefix, logger, concurrency: 1, handler },
  })
  started.push(workers)
  return workers
}

const run = (attempt = 1): MetricJob => ({ runId: randomUUID(), attempt, metric: 'production.pieces' })
const add = (...jobs: MetricJob[]) =>
  until(
    () =>
      producer.add(jobs).then(
        () => true,
        () => false,
      ),
    { what: 'the jobs are added' },
  )
const untilState = (job: MetricJob, state: string) =>
  until(async () => (await queue.getJobState(`${job.runId}_${job.attempt}`)) === state, {
    what: `the job is ${state}`,
  })

test('each attempt of a run is delivered once, however often it is added', async () => {
  const handled: string[] = []
  consume(async ({ runId, attempt }) => {
    handled.push(`${runId} ${attempt}`)
    return 'SUCCEEDED'
  })
  const first = run()
  const second = { ...first, attempt: 2 }
  await add(first, first)
  await untilState(first, 'completed')
  await add(first, second)
  await untilState(second, 'completed')
  expect(handled).toEqual([`${first.runId} 1`, `${first.runId} 2`])
})

test('a run whose handler throws is tried again', async () => {
  let tries = 0
  consume(async () => {
    tries += 1
    if (tries === 1) throw new Error('PostgreSQL is away')
    return 'SUCCEEDED'
  })
  const job = run()
  await add(job)
  await untilState(job, 'completed')
  expect(tries).toBe(2)
})

test('a worker that stops aborts its run and returns it to the queue without using up a try', async () => {
  let began = false
  const workers = consume((_payload, signal) => {
    began = true
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')))
    })
  })
  const job = run()
  await add(job)
  await until(() => began, { what: 'the run has begun' })
  await workers.close()
  await untilState(job, 'waiting')
  consume(async () => 'SUCCEEDED')
  await untilState(job, 'completed')
  expect((await queue.getJob(`${job.runId}_1`))?.attemptsMade).toBe(1)
})

test('a job with an invalid payload fails and is not tried again', async () => {
  consume(async () => 'SUCCEEDED')
  const invalid = await queue.add('edited by hand', { runId: 'x' }, { attempts: 8 })
  await until(async () => (await invalid.getState()) === 'failed', { what: 'the job has failed' })
  expect((await queue.getJob(invalid.id ?? ''))?.failedReason).toMatch(/payload of the run is invalid/)
})
