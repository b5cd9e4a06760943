import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { serviceUrl } from './settings.ts'

/** A prefix of keys in Redis for one test. */
export interface TestRedis {
  url: string
  /** The prefix of every key of the test. */
  prefix: string
  /** A connection that can read the keys. */
  redis: Redis
  /** Removes every key of the test, as if Redis had lost its data. */
  wipe(): Promise<void>
  /** Removes every key and disconnects. */
  close(): Promise<void>
}

/** Creates a unique prefix and opens a connection. */
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
