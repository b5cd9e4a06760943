import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type StageName, stageQueueName } from '@aduana/contracts/stages'
import type { Logger } from '@aduana/runtime/logger'
import { QueueKeys } from 'bullmq'
import type { Redis } from 'ioredis'
import { createRedis, QueueUnavailableError } from './redis.ts'

/** The state of the queue of a stage. */
export interface QueueView {
  stage: StageName
  /** Number of jobs that a worker could take now. */
  waiting: number
  /** Why jobs are not taken: the queue is paused, or its limit is reached. */
  held: 'paused' | 'limited' | null
}

export interface QueueObserver {
  /** Returns the state of the queues. @throws QueueUnavailableError when Redis does not respond or refuses writes */
  observe(stages: readonly StageName[]): Promise<QueueView[]>
  close(): void
}

const TIMEOUT_MS = 5000
/**
 * Creates an observer with its own connection, which is replaced when it does not respond. So its result does not depend on
 * the connections of the consumers.
 */
export function createQueueObserver(options: {
  redisUrl: string
  prefix: string
  logger: Logger
}): QueueObserver {
  const keys = new QueueKeys(options.prefix)
  const mark = `${options.prefix}:observer:${randomUUID()}`
  let redis: Redis | undefined
  const drop = () => {
    redis?.disconnect()
    redis = undefined
  }
  const ask = async (stages: readonly StageName[], signal: AbortSignal): Promise<QueueView[]> => {
    redis ??= createRedis(options.redisUrl, 'producer', options.logger)
    if (redis.status !== 'ready') await once(redis, 'ready', { signal })
    // A full Redis or a replica allows reads, but no job can be taken from it.
    await redis.set(mark, '', 'EX', 60)
    const connection = redis
    return Promise.all(stages.map((stage) => view(connection, stage, keys.getKeys(stageQueueName(stage)))))
  }
  return {
    observe: async (stages) => {
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(new Error(`no response within ${TIMEOUT_MS} ms`)), TIMEOUT_MS)
      try {
        return await Promise.race([ask(stages, late.signal), rejection(late.signal)])
      } catch (error) {
        drop()
        throw new QueueUnavailableError('Redis cannot be reached', { cause: error })
      } finally {
        clearTimeout(timer)
      }
    },
    close: drop,
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

async function view(redis: Redis, stage: StageName, keys: Record<string, string>): Promise<QueueView> {
  const key = (name: string) => keys[name] ?? ''
  const [wait, parked, prioritized, active, meta, limiter] = await Promise.all([
    redis.llen(key('wait')),
    redis.llen(key('paused')),
    redis.zcard(key('prioritized')),
    redis.llen(key('active')),
    redis.hmget(key('meta'), 'paused', 'concurrency'),
    redis.pttl(key('limiter')),
  ])
  const [paused, concurrency] = meta
  const limited = limiter > 0 || (typeof concurrency === 'string' && active >= Number(concurrency))
  return {
    stage,
    waiting: wait + parked + prioritized,
    held: typeof paused === 'string' ? 'paused' : limited ? 'limited' : null,
  }
}
