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

export interface QueueOptions {
  client: SQSClient
  url: string
  /** `stopping` is aborted when no more messages are taken; whoever waits for something else gives up then. */
  handle: (messages: readonly QueueMessage[], stopping: AbortSignal) => Promise<readonly Verdict[]>
  logger: Logger
  /** Polls at once, each of which hands over up to ten messages. */
  polls?: number | undefined
  /** So long nobody else gets a message that is being worked on; extended while that takes longer. */
  visibilitySeconds?: number | undefined
  /** After a poll that failed. */
  pauseMs?: number | undefined
}

const BATCH_SIZE = 10
const VISIBILITY_SECONDS = 60
const PAUSE_MS = 1000
/** A refused message that comes more often than this has a dead-letter queue that does not take it: it comes slowly. */
const MANY_RECEIVES = 100

/**
 * Take messages from a queue, by long polls. `handle` answers what became of each, in their order; when it throws, all of
 * them come back.
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

/** Whether messages are at hand, for whoever stops. */
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

/** Let go of messages that are refused; answers whether they have to be taken away. */
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
      // They come back when they become visible, and are refused again.
      logger.warn({ event: 'queue.not_let_go', queue: url, messages: refused.length, err: error })
      return false
    }
  }
}

async function makeVisible(client: SQSClient, QueueUrl: string, messages: readonly Message[]): Promise<void> {
  const few = messages.filter((message) => read(message).receives <= MANY_RECEIVES)
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
