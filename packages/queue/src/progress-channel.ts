import { ProgressUpdate } from '@aduana/contracts/progress'
import type { Logger } from '@aduana/runtime/logger'
import { createRedis } from './redis.ts'

const channelOf = (prefix: string) => `${prefix}:progress`

export interface ProgressPublisher {
  /** Publishes an update. It is a hint: it is dropped when Redis is not available, and clients read PostgreSQL. */
  publish(update: ProgressUpdate): void
  close(): void
}

/** Creates the publisher of live progress. It never waits and never fails. */
export function createProgressPublisher(options: {
  redisUrl: string
  prefix: string
  logger: Logger
}): ProgressPublisher {
  const redis = createRedis(options.redisUrl, 'producer', options.logger)
  const channel = channelOf(options.prefix)
  return {
    publish: (update) => {
      if (redis.status !== 'ready') return
      redis
        .publish(channel, JSON.stringify(update))
        .catch((error: unknown) => options.logger.debug({ event: 'progress.not_published', err: error }))
    },
    close: () => redis.disconnect(),
  }
}

export interface ProgressSubscription {
  /** True while messages can arrive. */
  healthy(): boolean
  close(): Promise<void>
}

/** Subscribes to the progress of all jobs over one connection. Invalid messages are logged and skipped. */
export function subscribeProgress(
  options: { redisUrl: string; prefix: string; logger: Logger },
  onUpdate: (update: ProgressUpdate) => void,
): ProgressSubscription {
  const redis = createRedis(options.redisUrl, 'subscriber', options.logger)
  redis.on('message', (_channel: string, text: string) => {
    const update = parseUpdate(text)
    if (update) onUpdate(update)
    else options.logger.warn({ event: 'progress.bad_message' })
  })
  redis
    .subscribe(channelOf(options.prefix))
    .catch((error: unknown) => options.logger.warn({ event: 'progress.not_subscribed', err: error }))
  return {
    healthy: () => redis.status === 'ready',
    close: async () => redis.disconnect(),
  }
}

function parseUpdate(text: string): ProgressUpdate | undefined {
  try {
    const parsed = ProgressUpdate.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
