import type { Database } from '@aduana/db/database'
import { consumeQueue } from '@aduana/messaging/sqs-queue'
import type { Logger } from '@aduana/runtime/logger'
import { takeIn } from './take-in.ts'

export interface Inbox {
  /** Take no more messages, and wait for those at hand. */
  stop(): Promise<void>
}

/** Take in what others send over queues of SQS: dataset updates, and what runners outside say. In any number of processes. */
export function startInbox(options: {
  db: Database
  logger: Logger
  client: Parameters<typeof consumeQueue>[0]['client']
  urls: readonly string[]
}): Inbox {
  const { db, logger, client } = options
  const consumers = options.urls.map((url) =>
    consumeQueue({ client, url, logger, handle: (messages) => takeIn({ db, logger, queue: url }, messages) }),
  )
  return {
    stop: async () => {
      await Promise.all(consumers.map((consumer) => consumer.stop()))
    },
  }
}
