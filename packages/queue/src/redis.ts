import { backoff } from '@aduana/runtime/backoff'
import type { Logger } from '@aduana/runtime/logger'
import { Redis } from 'ioredis'

/**
 * How a connection behaves when Redis is not available: a `producer` fails at once, so that its caller can continue without
 * Redis; a `worker` and a `subscriber` wait until it is back.
 */
export type RedisRole = 'producer' | 'worker' | 'subscriber'

const RECONNECT_MS = { first: 200, longest: 3000 }

/** Creates a connection to Redis. An error is logged once, not for each attempt to reconnect. */
export function createRedis(url: string, role: RedisRole, logger: Logger): Redis {
  const waits = role !== 'producer'
  const redis = new Redis(url, {
    maxRetriesPerRequest: waits ? null : 1,
    enableOfflineQueue: waits,
    connectTimeout: 5000,
    // For an unresponsive server: a caller that can continue without Redis must not hang.
    ...(waits ? {} : { commandTimeout: 10_000 }),
    keepAlive: 5000,
    // Replaces a silent connection, which the network may have dropped. For a worker the timeout exceeds the longest
    // blocking read of BullMQ (10 s). A subscriber sends nothing that could remain unanswered.
    ...(role === 'subscriber' ? {} : { socketTimeout: role === 'worker' ? 15_000 : 8000 }),
    retryStrategy: (tries) => backoff(tries, RECONNECT_MS),
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

/** Redis is not available; try again later. */
export class QueueUnavailableError extends Error {
  override readonly name = 'QueueUnavailableError'
}

/** What is created on a connection when it is needed. */
export interface OnReadyConnection<T> {
  /** Returns it once it has started. @throws QueueUnavailableError when Redis is not available */
  open(): Promise<T>
  /** Closes it, if it has been created, and the connection. */
  close(): Promise<void>
}

/**
 * Creates BullMQ objects on a connection when they are needed. They must be created on a ready connection; one whose start
 * failed never recovers, so it is created again. `started` resolves when the start has succeeded.
 */
export function onReadyConnection<T extends { close(): Promise<void> }>(
  connection: Redis,
  create: () => T,
  started: (created: T) => Promise<unknown>,
): OnReadyConnection<T> {
  let created: T | undefined
  return {
    open: async () => {
      if (connection.status !== 'ready') throw new QueueUnavailableError('Redis cannot be reached')
      const current = created ?? create()
      created = current
      try {
        await started(current)
        return current
      } catch (error) {
        created = undefined
        throw new QueueUnavailableError('Redis cannot be reached', { cause: error })
      }
    },
    close: async () => {
      await created?.close()
      connection.disconnect()
    },
  }
}

/** The configuration of Redis would lose jobs; the message says what to change. */
export class RedisMisconfiguredError extends Error {
  override readonly name = 'RedisMisconfiguredError'
}

/**
 * Checks that Redis does not evict keys when it is full, which would silently lose jobs.
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
