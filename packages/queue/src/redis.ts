import type { Logger } from '@aduana/runtime/logger'
import { Redis } from 'ioredis'

/**
 * How a connection behaves when Redis is away: a `producer` fails at once, so that its caller can go on without Redis;
 * a `worker` and a `subscriber` wait for it to come back.
 */
export type RedisRole = 'producer' | 'worker' | 'subscriber'

/** A connection to Redis. Errors are logged once for each state, not for each attempt to reconnect. */
export function createRedis(url: string, role: RedisRole, logger: Logger): Redis {
  const waits = role !== 'producer'
  const redis = new Redis(url, {
    maxRetriesPerRequest: waits ? null : 1,
    enableOfflineQueue: waits,
    connectTimeout: 5000,
    // A server that has stopped answering; a caller that can do without Redis must not hang on it.
    ...(waits ? {} : { commandTimeout: 10_000 }),
    keepAlive: 5000,
    // A connection that says nothing more is given up and made anew: the network may have forgotten it. For a worker
    // longer than the longest blocking read of BullMQ (10 s). A subscriber sends nothing that could go unanswered.
    ...(role === 'subscriber' ? {} : { socketTimeout: role === 'worker' ? 15_000 : 8000 }),
    retryStrategy: (tries) => Math.min(100 * 2 ** Math.min(tries, 6), 3000),
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  })
  let lastError = ''
  redis.on('error', (error: Error) => {
    if (lastError === error.message) return
    lastError = error.message
    logger.warn({ event: 'redis.error', role, err: error })
  })
  redis.on('ready', () => {
    if (lastError) logger.info({ event: 'redis.back', role })
    lastError = ''
  })
  return redis
}

/** Redis is set up in a way that would lose jobs; the message says what to change. */
export class RedisMisconfiguredError extends Error {
  override readonly name = 'RedisMisconfiguredError'
}

/**
 * Refuse a Redis that evicts keys when it is full: it would throw away jobs without a word.
 * @throws RedisMisconfiguredError
 */
export async function checkRedis(redis: Redis): Promise<void> {
  const memory = await redis.info('memory')
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
  if (policy !== undefined && policy !== 'noeviction')
    throw new RedisMisconfiguredError(
      `Redis evicts keys when it is full (maxmemory-policy is "${policy}"), so jobs would be lost. Set maxmemory-policy to noeviction.`,
    )
}
