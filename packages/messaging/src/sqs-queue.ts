import type { Logger } from '@aduana/runtime/logger'
import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  type Message,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import { Consumer } from 'sqs-consumer'
import { LONGEST_POLL_SECONDS } from './clients.ts'
import { textOf } from './notification.ts'

/** A message as it came over a queue. */
export interface QueueMessage {
  id: string
  text: string
  /** How often it has been handed out, this time included. */
  receives: number
}

/**
 * What became of a message. `done`: it is taken away. `again`: it comes back when it becomes visible. `refused`: it can
 * never be taken in; it becomes visible at once, so that the queue soon hands it to its dead-letter queue. A queue that has
 * none would hand it out for ever: there it is taken away, and whoever refuses has kept it.
 */
export type Verdict = 'done' | 'again' | 'refused'

export interface QueueConsumer {
  /** Take no more messages, and wait for those at hand. */
  stop(): Promise<void>
}

const MOST_AT_ONCE = 10
/** So long nobody else gets a message that is being worked on; extended while that takes longer. */
const VISIBILITY_SECONDS = 60
const EXTEND_EVERY_SECONDS = 20
/** Between polls that fail. */
const PAUSE_MS = 1000

/**
 * Take messages from a queue, by long polls, up to ten at a time. `handle` answers what became of each, in their order;
 * when it throws, all of them come back.
 */
export function consumeQueue(options: {
  client: SQSClient
  url: string
  handle: (messages: readonly QueueMessage[]) => Promise<readonly Verdict[]>
  logger: Logger
}): QueueConsumer {
  const { client, url, logger } = options
  const work = trackWork()
  const refuse = refuser(client, url, logger)
  const consumer = Consumer.create({
    sqs: client,
    queueUrl: url,
    suppressFifoWarning: true,
    batchSize: MOST_AT_ONCE,
    waitTimeSeconds: LONGEST_POLL_SECONDS,
    visibilityTimeout: VISIBILITY_SECONDS,
    heartbeatInterval: EXTEND_EVERY_SECONDS,
    messageSystemAttributeNames: ['ApproximateReceiveCount'],
    strictReturn: true,
    handleMessageBatch: async (messages) => {
      work.begin()
      const verdicts = await options.handle(messages.map(read))
      const done = messages.filter((_, at) => verdicts[at] === 'done')
      const refused = messages.filter((_, at) => verdicts[at] === 'refused')
      return refused.length === 0 ? done : [...done, ...(await refuse(refused))]
    },
  })
  consumer.on('error', (error) => {
    if (work.stopping()) return
    consumer.updateOption('pollingWaitTimeMs', PAUSE_MS)
    logger.warn({ event: 'queue.failed', queue: url, err: error })
  })
  consumer.on('empty', () => consumer.updateOption('pollingWaitTimeMs', 0))
  consumer.on('response_processed', () => {
    consumer.updateOption('pollingWaitTimeMs', 0)
    work.end()
  })
  consumer.start()
  return {
    stop: async () => {
      await work.stop()
      consumer.stop({ abort: true })
    },
  }
}

/** Whether messages are at hand, for whoever stops. */
function trackWork() {
  let stopping = false
  let busy = false
  let waiting: () => void = () => undefined
  return {
    begin: () => {
      busy = true
    },
    end: () => {
      busy = false
      waiting()
    },
    stopping: () => stopping,
    stop: () => {
      stopping = true
      return new Promise<void>((resolve) => {
        waiting = resolve
        if (!busy) resolve()
      })
    },
  }
}

/** Let go of messages that are refused; answers those that have to be taken away. */
function refuser(client: SQSClient, url: string, logger: Logger) {
  let hasDeadLetters: boolean | undefined
  return async (refused: readonly Message[]): Promise<readonly Message[]> => {
    hasDeadLetters ??= await readDeadLetters(client, url)
    if (!hasDeadLetters) {
      logger.error({ event: 'queue.no_dead_letter_queue', queue: url, messages: refused.length })
      return refused
    }
    await Promise.all(
      refused.map(({ ReceiptHandle }) =>
        client.send(
          new ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle, VisibilityTimeout: 0 }),
        ),
      ),
    )
    return []
  }
}

async function readDeadLetters(client: SQSClient, QueueUrl: string): Promise<boolean> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['RedrivePolicy'] }),
  )
  return Boolean(Attributes?.RedrivePolicy)
}

function read({ MessageId, Body, Attributes }: Message): QueueMessage {
  const receives = Number(Attributes?.ApproximateReceiveCount ?? 1)
  return { id: MessageId ?? '', text: textOf(Body ?? ''), receives }
}
