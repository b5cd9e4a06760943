import { randomUUID } from 'node:crypto'
import { STAGE_NAMES, type StageName, type StagePayload, stageQueueName } from '@aduana/contracts/stages'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { Queue } from 'bullmq'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFlows, type Flows } from './flow.ts'
import type { StageOutcome } from './outcome.ts'
import { QueueUnavailableError } from './redis.ts'
import { type Delivery, type StageHandlers, type StageWorkers, startStageWorkers } from './stage-workers.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const CONCURRENCY = { parse: 1, validate: 1, quarantine: 1, load: 1, 'fan-out': 1 }

let redis: TestRedis
let flows: Flows
const started: StageWorkers[] = []
beforeEach(async () => {
  redis = createTestRedis()
  flows = createFlows({ redisUrl: redis.url, prefix: redis.prefix, logger })
  await until(
    () =>
      flows.waiting().then(
        () => true,
        () => false,
      ),
    { what: 'the producer is connected' },
  )
})
afterEach(async () => {
  await Promise.all(started.splice(0).map((workers) => workers.close()))
  await flows.close()
  await redis.close()
})

interface Delivered extends StagePayload {
  stage: StageName
  lastTry: boolean
}

/** Starts workers whose handlers record each delivery and end with the outcome that `decide` returns. */
function consume(
  decide: (delivered: Delivered, delivery: Delivery, times: number) => StageOutcome | Promise<StageOutcome>,
  options: { worker?: string; onLost?: (stage: StageName, reason: string) => void } = {},
): { workers: StageWorkers; deliveries: Delivered[] } {
  const deliveries: Delivered[] = []
  const handle = (stage: StageName) => async (payload: StagePayload, delivery: Delivery) => {
    const delivered = { ...payload, stage, lastTry: delivery.lastTry }
    deliveries.push(delivered)
    return decide(delivered, delivery, deliveries.filter((one) => one.stage === stage).length)
  }
  const handlers: StageHandlers = {
    parse: handle('parse'),
    validate: handle('validate'),
    quarantine: handle('quarantine'),
    load: handle('load'),
    'fan-out': handle('fan-out'),
  }
  const workers = startStageWorkers({
    redisUrl: redis.url,
    prefix: redis.prefix,
    worker: options.worker ?? 'worker.1',
    logger,
    handlers,
    concurrency: CONCURRENCY,
    onLost: async (_payload, stage, reason) => options.onLost?.(stage, reason),
  })
  started.push(workers)
  return { workers, deliveries }
}

const flow = (stages: readonly StageName[] = STAGE_NAMES) => ({
  jobId: randomUUID(),
  attempt: 1,
  title: 'production #1',
  stages,
})
const stagesOf = (deliveries: readonly Delivered[]) => deliveries.map(({ stage }) => stage)
const untilState = (payload: StagePayload, stage: StageName, state: string) =>
  until(async () => (await flows.states(payload, [stage]))[0] === state, { what: `${stage} is ${state}` })

describe('a flow', () => {
  test('delivers its stages in order, each once, and only its own', async () => {
    const { deliveries, workers } = consume(() => ({ kind: 'done' }))
    const [whole, rest] = [flow(), flow(['load', 'fan-out'])]
    await flows.add(whole)
    await untilState(whole, 'fan-out', 'completed')
    expect(stagesOf(deliveries)).toEqual(STAGE_NAMES)
    await flows.add(rest)
    await untilState(rest, 'fan-out', 'completed')
    expect(deliveries.slice(STAGE_NAMES.length)).toMatchObject([
      { jobId: rest.jobId, attempt: 1, stage: 'load', lastTry: false },
      { jobId: rest.jobId, attempt: 1, stage: 'fan-out' },
    ])
    expect(workers.consumption()).toMatchObject(
      STAGE_NAMES.map((stage) => ({ stage, slots: 1, inWork: [], looping: true })),
    )
  })

  test('that is added again is not delivered again; its next attempt is', async () => {
    const { deliveries } = consume(() => ({ kind: 'done' }))
    const request = flow(['fan-out'])
    await flows.add(request)
    await untilState(request, 'fan-out', 'completed')
    await flows.add(request)
    const next = { ...request, attempt: 2 }
    await flows.add(next)
    await untilState(next, 'fan-out', 'completed')
    expect(deliveries.map(({ attempt }) => attempt)).toEqual([1, 2])
  })

  test('whose stage fails for good delivers no later stage', async () => {
    const { deliveries } = consume(({ stage }) =>
      stage === 'validate'
        ? { kind: 'fail', failure: { code: 'too_many_rejects', detail: 'x' } }
        : { kind: 'done' },
    )
    const request = flow()
    await flows.add(request)
    await untilState(request, 'validate', 'failed')
    await untilState(request, 'fan-out', 'failed')
    expect(stagesOf(deliveries)).toEqual(['parse', 'validate'])
  })

  test('whose stage stops goes on, and PostgreSQL decides whether the later stages are due', async () => {
    const { deliveries } = consume(() => ({ kind: 'stop', reason: 'overtaken' }))
    const request = flow(['load', 'fan-out'])
    await flows.add(request)
    await untilState(request, 'fan-out', 'completed')
    expect(stagesOf(deliveries)).toEqual(['load', 'fan-out'])
  })

  test('whose stage is retried delivers it again, until it is done', async () => {
    const { deliveries } = consume((_delivered, _delivery, times) =>
      times < 2 ? { kind: 'retry', error: new Error('PostgreSQL is away') } : { kind: 'done' },
    )
    const request = flow(['fan-out'])
    await flows.add(request)
    await untilState(request, 'fan-out', 'completed')
    expect(stagesOf(deliveries)).toEqual(['fan-out', 'fan-out'])
  })

  test('whose stage snoozes delivers it again later, without using up a try', async () => {
    const { deliveries } = consume((_delivered, _delivery, times) =>
      times <= 3 ? { kind: 'snooze', milliseconds: 1, reason: 'busy' } : { kind: 'done' },
    )
    const request = flow(['load'])
    await flows.add(request)
    await untilState(request, 'load', 'completed')
    expect(deliveries).toHaveLength(4)
    const queue = new Queue(stageQueueName('load'), { connection: redis.redis, prefix: redis.prefix })
    const job = await queue.getJob(`${request.jobId}_1_load`)
    expect(job?.attemptsMade).toBe(1)
    await queue.close()
  })
})

describe('a worker', () => {
  test('that stops aborts its work and returns it without using up a try; another one takes it', async () => {
    const first = consume(
      (_delivered, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () =>
            resolve({ kind: 'retry', error: new Error('the process stops') }),
          )
        }),
    )
    const request = flow(['load'])
    await flows.add(request)
    await until(() => first.deliveries.length === 1, { what: 'the first worker has the stage' })
    expect(await flows.heldBy('worker.1')).toEqual([{ jobId: request.jobId, attempt: 1 }])
    expect(first.workers.consumption().find(({ stage }) => stage === 'load')).toMatchObject({
      inWork: [request.jobId],
      taken: 1,
    })
    await first.workers.close()
    expect(await flows.states(request, ['load', 'parse'])).toEqual(['waiting', 'missing'])
    expect(await flows.waiting()).toContainEqual({ stage: 'load', waiting: 1, workers: 0 })
    const second = consume(() => ({ kind: 'done' }), { worker: 'worker.2' })
    await untilState(request, 'load', 'completed')
    expect(second.deliveries).toMatchObject([{ stage: 'load', lastTry: false }])
    expect(await flows.heldBy('worker.1')).toEqual([])
  })

  test('refuses a job whose payload is invalid, and serves the next one', async () => {
    const { deliveries } = consume(() => ({ kind: 'done' }))
    const queue = new Queue(stageQueueName('parse'), { connection: redis.redis, prefix: redis.prefix })
    const invalid = await queue.add('edited by hand', { jobId: 'x' }, { attempts: 8 })
    const request = flow(['parse'])
    await flows.add(request)
    await untilState(request, 'parse', 'completed')
    await until(async () => (await invalid.getState()) === 'failed', { what: 'the invalid job has failed' })
    expect(deliveries).toHaveLength(1)
    await queue.close()
  })

  test('reports a job that BullMQ gives up, because its workers died too often', async () => {
    const lost: string[] = []
    const queue = new Queue(stageQueueName('parse'), { connection: redis.redis, prefix: redis.prefix })
    const request = flow(['parse'])
    await flows.add(request)
    // As after three workers that died with it: it is active, without a lock, and has stalled three times.
    const keys = queue.toKey.bind(queue)
    const id = `${request.jobId}_1_parse`
    await redis.redis.lrem(keys('wait'), 0, id)
    await redis.redis.lpush(keys('active'), id)
    await redis.redis.hset(keys(id), 'stc', 3)
    consume(() => ({ kind: 'done' }), { onLost: (stage, reason) => lost.push(`${stage}: ${reason}`) })
    await until(() => lost.length > 0, { within: 20_000, what: 'the job is given up' })
    expect(lost).toEqual([expect.stringMatching(/^parse: .*stalled more than/)])
    await queue.close()
  })
})

test('a job that is delayed for longer than any retry is reported as such', async () => {
  const request = flow(['parse'])
  await flows.add(request)
  const queue = new Queue(stageQueueName('parse'), { connection: redis.redis, prefix: redis.prefix })
  const id = `${request.jobId}_1_parse`
  await redis.redis.lrem(queue.toKey('wait'), 0, id)
  const states: string[] = []
  for (const minutes of [5, 60]) {
    await redis.redis.zadd(queue.toKey('delayed'), (Date.now() + minutes * 60_000) * 0x1000, id)
    states.push(...(await flows.states(request, ['parse'])))
  }
  expect(states).toEqual(['delayed', 'far-delayed'])
  await queue.close()
})

test('a producer without Redis fails at once, with an error that tells why', async () => {
  const away = createFlows({ redisUrl: 'redis://127.0.0.1:1', prefix: redis.prefix, logger })
  await expect(away.add(flow())).rejects.toThrow(QueueUnavailableError)
  await expect(away.states(flow(), ['parse'])).rejects.toThrow('Redis cannot be reached')
  await away.close()
})

test('a flow without stages is an error of its caller', async () => {
  await expect(flows.add(flow([]))).rejects.toThrow('without stages')
})
