import type { Database } from '@aduana/db/database'
import { startNotifiedPollLoop } from '@aduana/db/notified-poll-loop'
import type { Logger } from '@aduana/runtime/logger'
import { OUTBOX_CHANNEL } from './channel.ts'
import { deliver } from './deliver.ts'
import type { Destination } from './destination.ts'

/** A process that delivers the outbox. */
export interface Outbox {
  stop(): Promise<void>
}

const POLL_MS = 1000

/**
 * Starts to deliver outbound events of the log to all destinations: on notification, and every second. Any number of
 * processes may run it. Failed deliveries are retried.
 */
export function startOutbox(options: {
  db: Database
  /** The database of the connection that listens. */
  databaseUrl: string
  destinations: readonly Destination[]
  logger: Logger
}): Outbox {
  const { databaseUrl: url, logger } = options
  return startNotifiedPollLoop({
    url,
    channel: OUTBOX_CHANNEL,
    logger,
    intervalMs: POLL_MS,
    poll: async (stopping) => {
      while (!stopping()) if ((await deliver(options)).sent === 0) return
    },
    onError: (error) => logger.warn({ event: 'outbox.poll_failed', err: error }),
  })
}
