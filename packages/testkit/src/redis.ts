import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { serviceUrl } from './settings.ts'

/** A part of Redis of a test's own. */
export interface TestRedis {
  url: string
  /** Every key of the test begins with it. */
  prefix: string
  /** A connection to look at the keys. */
  redis: Redis
  /** Remove every key of the test, as if Redis had lost its data. */
  wipe(): Promise<void>
  /** Wipe and disconnect. */
  close(): Promise<void>
}

/** A prefix that no other test has, and a connection. */
export function createTestRedis(): TestRedis {
  const url = serviceUrl('TEST_REDIS_URL')
  const prefix = `{test-${randomUUID()}}`
  const redis = new Redis(url)
  const wipe = async () => {
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix.replace(/[{}]/g, '?')}*`, 'COUNT', 500)
      if (keys.length > 0) await redis.del(...keys)
      cursor = next
    } while (cursor !== '0')
  }
  return {
    url,
    prefix,
    redis,
    wipe,
    close: async () => {
      await wipe()
      redis.disconnect()
    },
  }
}
