import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@aduana/db/database'
import { consumeQueue, type QueueOptions } from '@aduana/messaging/sqs-queue'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { consumeMessages } from './consume.ts'

export interface Inbox {
  /** Take no more messages, and wait for those at hand. */
  stop(): Promise<void>
}

const RETRY_MS = 1000
/** While one waits for SQS, others have messages at hand; more would mostly wait for each other's metrics. */
const CONCURRENT_POLLS = 3

/** Take in what others send over queues of SQS: dataset updates, and what runners outside say. In any number of processes. */
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
 * Hold messages while PostgreSQL is away. If they were let go, each would come back a few times, and then lie in the
 * dead-letter queue although nothing is wrong with it.
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
