import { randomUUID } from 'node:crypto'
import type { ProgressUpdate } from '@aduana/contracts/progress'
import { createLogger } from '@aduana/runtime/logger'
import { createTestRedis } from '@aduana/testkit/redis'
import { until } from '@aduana/testkit/until'
import { expect, test } from 'vitest'
import { createProgressPublisher, subscribeProgress } from './progress-channel.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

const update = (seq: number): ProgressUpdate => ({
  ...{ jobId: randomUUID(), userId: randomUUID(), seq, stage: 'load', progress: 50, message: 'Loading' },
  ...{ totalItems: 10, processedItems: 5, rowsPerSecond: 5, etaSeconds: 1 },
})

test('a subscriber receives what is published, and skips what is no update', async () => {
  const redis = createTestRedis()
  const options = { redisUrl: redis.url, prefix: redis.prefix, logger }
  const received: ProgressUpdate[] = []
  const subscription = subscribeProgress(options, (one) => received.push(one))
  const publisher = createProgressPublisher(options)
  const [first, last] = [update(1), update(2)]
  const channel = `${redis.prefix}:progress`
  await until(async () => (await redis.redis.publish(channel, 'not JSON')) === 1, {
    what: 'it is subscribed',
  })
  expect(subscription.healthy()).toBe(true)
  await until(
    () => {
      publisher.publish(first)
      return received.length > 0
    },
    { what: 'the publisher is connected' },
  )
  await redis.redis.publish(channel, JSON.stringify({ ...last, progress: 101 }))
  await redis.redis.publish(channel, JSON.stringify(last))
  await until(() => received.at(-1)?.seq === 2, { what: 'the last update arrives' })
  expect(received.slice(0, -1).every((one) => one.seq === 1)).toBe(true)
  expect(received.at(-1)).toEqual(last)
  publisher.close()
  await subscription.close()
  await redis.close()
})

test('a publisher without Redis drops updates and does not fail', () => {
  const publisher = createProgressPublisher({ redisUrl: 'redis://127.0.0.1:1', prefix: 'x', logger })
  publisher.publish(update(1))
  publisher.close()
})
