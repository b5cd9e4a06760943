import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@aduana/runtime/logger'
import {
  ChangeMessageVisibilityBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  type SQSClient,
} from '@aws-sdk/client-sqs'
import { Consumer } from 'sqs-consumer'
import { MAX_POLL_SECONDS } from './clients.ts'
import { textOf } from './notification.ts'

/** A received message. */
export interface QueueMessage {
  id: string
  text: string
  /** Number of receives, including this one. */
  receives: number
}

/**
 * What to do with a message. `done`: delete it. `again`: leave it, so that it is received again after the visibility timeout.
 * `refused`: permanently invalid; make it visible at once, so that the queue soon moves it to its dead-letter queue. A queue
 * without one would deliver it forever, so there it is deleted; the handler has stored it.
 */
export type Verdict = 'done' | 'again' | 'refused'

export interface QueueConsumer {
  /** Stops receiving and waits for received messages. */
  stop(): Promise<void>
}

export interface QueueOptions {
  client: SQSClient
  url: string
  /** Returns a verdict for each message, in order. `stopping` is aborted when the consumer stops; stop waiting then. */
  handle: (messages: readonly QueueMessage[], stopping: AbortSignal) => Promise<readonly Verdict[]>
  logger: Logger
  /** Number of concurrent polls, each for up to ten messages. */
  polls?: number | undefined
  /** Visibility timeout; extended while a message is handled. */
  visibilitySeconds?: number | undefined
  /** Pause after a failed poll. */
  pauseMs?: number | undefined
}

const BATCH_SIZE = 10
const VISIBILITY_SECONDS = 60
const PAUSE_MS = 1000
/** Above this, the dead-letter queue does not work, and a refused message is not made visible at once. */
const WARN_AT_RECEIVES = 100

/**
 * Consumes a queue by long polls. `handle` returns a verdict for each message, in order. If it throws, all of them are
 * received again.
 */
export function consumeQueue(options: QueueOptions): QueueConsumer {
  const stopping = new AbortController()
  const refuse = createRefuse(options)
  const polls = Array.from({ length: options.polls ?? 1 }, () => startPoll(options, refuse, stopping.signal))
  return {
    stop: async () => {
      stopping.abort()
      await Promise.all(polls.map((poll) => poll.stop()))
    },
  }
}

function startPoll(options: QueueOptions, refuse: Refuse, stopping: AbortSignal): QueueConsumer {
  const { client, url, logger } = options
  const work = trackWork()
  const visibilityTimeout = options.visibilitySeconds ?? VISIBILITY_SECONDS
  let failed = false
  const pauseAfterFailure = async () => {
    if (!failed) return
    failed = false
    await sleep(options.pauseMs ?? PAUSE_MS, undefined, { signal: stopping }).catch(() => undefined)
  }
  const consumer = Consumer.create({
    sqs: client,
    queueUrl: url,
    suppressFifoWarning: true,
    batchSize: BATCH_SIZE,
    waitTimeSeconds: MAX_POLL_SECONDS,
    visibilityTimeout,
    heartbeatInterval: visibilityTimeout / 3,
    authenticationErrorTimeout: 0,
    messageSystemAttributeNames: ['ApproximateReceiveCount'],
    strictReturn: true,
    preReceiveMessageCallback: pauseAfterFailure,
    handleMessageBatch: async (messages) => {
      work.begin()
      const verdicts = await options.handle(messages.map(read), stopping)
      const refused = messages.filter((_, at) => verdicts[at] === 'refused')
      const taken = refused.length > 0 && (await refuse(refused)) ? refused : []
      return [...messages.filter((_, at) => verdicts[at] === 'done'), ...taken]
    },
  })
  consumer.on('error', (error) => {
    if (stopping.aborted) return
    failed = true
    logger.warn({ event: 'queue.failed', queue: url, err: error })
  })
  consumer.on('response_processed', () => work.end())
  consumer.start()
  return {
    stop: async () => {
      await work.ended()
      consumer.stop({ abort: true })
    },
  }
}

/** Tracks whether messages are being handled, so that a stop can wait. */
function trackWork() {
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
    ended: () =>
      new Promise<void>((resolve) => {
        waiting = resolve
        if (!busy) resolve()
      }),
  }
}

/** Makes refused messages visible. Resolves with true if they must be deleted instead. */
type Refuse = (refused: readonly Message[]) => Promise<boolean>

function createRefuse({ client, url, logger }: QueueOptions): Refuse {
  let hasDeadLetters: boolean | undefined
  return async (refused) => {
    try {
      hasDeadLetters ??= await hasDeadLetterQueue(client, url)
      if (hasDeadLetters) await makeVisible(client, url, refused)
      else logger.error({ event: 'queue.no_dead_letter_queue', queue: url, messages: refused.length })
      return !hasDeadLetters
    } catch (error) {
      // They are received and refused again after the visibility timeout.
      logger.warn({ event: 'queue.not_let_go', queue: url, messages: refused.length, err: error })
      return false
    }
  }
}

async function makeVisible(client: SQSClient, QueueUrl: string, messages: readonly Message[]): Promise<void> {
  const few = messages.filter((message) => read(message).receives <= WARN_AT_RECEIVES)
  if (few.length === 0) return
  const Entries = few.map(({ ReceiptHandle }, at) => ({
    Id: String(at),
    ReceiptHandle,
    VisibilityTimeout: 0,
  }))
  await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }))
}

async function hasDeadLetterQueue(client: SQSClient, QueueUrl: string): Promise<boolean> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['RedrivePolicy'] }),
  )
  return Boolean(Attributes?.RedrivePolicy)
}

function read({ MessageId, Body, Attributes }: Message): QueueMessage {
  const receives = Number(Attributes?.ApproximateReceiveCount ?? 1)
  return { id: MessageId ?? '', text: textOf(Body ?? ''), receives }
}
