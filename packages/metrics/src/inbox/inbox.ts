import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@aduana/db/database'
import { consumeQueue, type QueueOptions } from '@aduana/messaging/sqs-queue'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { consumeMessages } from './consume.ts'

/** The consumers of the inbound queues. */
export interface Inbox {
  /** Stops, and resolves when the current messages are processed. */
  stop(): Promise<void>
}

const RETRY_MS = 1000
/** While one poll waits for SQS, others process messages. More would mostly wait for the locks of each other. */
const CONCURRENT_POLLS = 3

/**
 * Starts to consume messages from SQS queues: dataset updates, and events of external runners. Any number of
 * processes may run it.
 */
export function startInbox(options: {
  db: Database
  logger: Logger
  client: QueueOptions['client']
  urls: readonly string[]
  visibilitySeconds?: number
}): Inbox {
  const { db, logger, client, visibilitySeconds } = options
  const consumers = options.urls.map((url) =>
    consumeQueue({
      client,
      url,
      logger,
      visibilitySeconds,
      polls: CONCURRENT_POLLS,
      handle: async (messages, stopping) => {
        await waitForDatabase(options, stopping)
        return consumeMessages({ db, logger, queue: url }, messages)
      },
    }),
  )
  return {
    stop: async () => {
      await Promise.all(consumers.map((consumer) => consumer.stop()))
    },
  }
}

/**
 * Waits while PostgreSQL is unavailable. Otherwise valid messages would be received a few times and end in the
 * dead-letter queue.
 */
async function waitForDatabase(
  { db, logger }: { db: Database; logger: Logger },
  stopping: AbortSignal,
): Promise<void> {
  for (;;) {
    stopping.throwIfAborted()
    try {
      await sql`select`.execute(db)
      return
    } catch (error) {
      logger.warn({ event: 'inbox.waits_for_database', err: error })
      await sleep(RETRY_MS, undefined, { signal: stopping })
    }
  }
}
