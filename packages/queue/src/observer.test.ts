import { randomUUID } from 'node:crypto'
import { stageQueueName } from '@aduana/contracts/stages'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis } from '@aduana/testkit/redis'
import { Queue } from 'bullmq'
import { expect, test } from 'vitest'
import { createQueueObserver } from './observer.ts'
import { QueueUnavailableError } from './redis.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

test('an observer sees how many jobs wait in each queue, and why they are not taken', async () => {
  const redis = createTestRedis()
  const observer = createQueueObserver({ redisUrl: redis.url, prefix: redis.prefix, logger })
  const queue = new Queue(stageQueueName('load'), { connection: redis.redis, prefix: redis.prefix })
  await queue.addBulk([1, 2, 3].map((priority) => ({ name: 'x', data: {}, opts: { priority } })))
  await queue.add('x', {})
  const view = async () => (await observer.observe(['load']))[0]
  expect(await observer.observe(['parse', 'load'])).toEqual([
    { stage: 'parse', waiting: 0, held: null },
    { stage: 'load', waiting: 4, held: null },
  ])
  await queue.pause()
  expect(await view()).toEqual({ stage: 'load', waiting: 4, held: 'paused' })
  await queue.resume()
  await queue.setGlobalConcurrency(0)
  expect(await view()).toMatchObject({ held: 'limited' })
  await queue.removeGlobalConcurrency()
  await redis.redis.set(queue.toKey('limiter'), 1, 'PX', 60_000)
  expect(await view()).toMatchObject({ held: 'limited' })
  observer.close()
  await queue.close()
  await redis.close()
})

test('an observer without Redis throws an error that tells why', async () => {
  const observer = createQueueObserver({ redisUrl: 'redis://127.0.0.1:1', prefix: randomUUID(), logger })
  await expect(observer.observe(['load'])).rejects.toThrow(QueueUnavailableError)
  observer.close()
})
