import {
  type MessageAttributeValue,
  PublishBatchCommand,
  type PublishBatchRequestEntry,
  type SNSClient,
} from '@aws-sdk/client-sns'

/** A message for a topic. */
export interface TopicMessage {
  /** Names the message in the answer. */
  id: string
  body: string
  /** What subscribers filter by. */
  attributes: Readonly<Record<string, string | readonly string[]>>
  /** Messages of a group are delivered by a FIFO topic in the order in which they were published. */
  group: string
  /** A FIFO topic takes equal ones once within five minutes. */
  deduplicationId: string
}

/** A topic of SNS. */
export interface Topic {
  arn: string
  fifo: boolean
  /**
   * Publish messages; on a FIFO topic those of a group one after the other. Answers the errors of those that were not
   * taken, by id: of all of them when SNS cannot be reached, of the rest when `signal` is aborted.
   */
  publish(messages: readonly TopicMessage[], signal: AbortSignal): Promise<ReadonlyMap<string, Error>>
}

/** Limits of one request: `PublishBatch` in the API reference of SNS. The size is of bodies and attributes together. */
const MAX_BATCH_MESSAGES = 10
export const MAX_BATCH_BYTES = 256 * 1024
/** What the names and kinds of attributes may add to what is counted. */
const ALLOWANCE = 2048
/** Requests that are under way at once. */
const LANES = 8

/** The topic with an ARN; one whose name ends in `.fifo` is a FIFO topic. */
export function snsTopic(client: SNSClient, arn: string): Topic {
  const fifo = arn.endsWith('.fifo')
  return {
    arn,
    fifo,
    publish: async (messages, signal) => {
      const errors = new Map<string, Error>()
      const publishInTurn = async (lane: readonly (readonly TopicMessage[])[]) => {
        for (const batch of lane)
          for (const [id, error] of await publishBatch(client, { arn, fifo }, batch, signal))
            errors.set(id, error)
      }
      const lanes = fifo ? lanesOf(messages).map(batchesOf) : spread(batchesOf(messages))
      await Promise.all(lanes.map(publishInTurn))
      return errors
    },
  }
}

/** Messages by lane: those of a group in the same one, in their order. */
function lanesOf(messages: readonly TopicMessage[]): TopicMessage[][] {
  const laneOfGroup = new Map<string, number>()
  const lanes: TopicMessage[][] = []
  for (const message of messages) {
    const at = laneOfGroup.get(message.group) ?? laneOfGroup.size % LANES
    laneOfGroup.set(message.group, at)
    const lane = lanes[at]
    if (lane) lane.push(message)
    else lanes[at] = [message]
  }
  return lanes
}

/** Batches by lane, where no order has to be kept. */
function spread(batches: readonly TopicMessage[][]): TopicMessage[][][] {
  return Array.from({ length: LANES }, (_, lane) => batches.filter((_batch, at) => at % LANES === lane))
}

/** Split into what one request takes. A message that is too large by itself is left to SNS to refuse. */
export function batchesOf(messages: readonly TopicMessage[]): TopicMessage[][] {
  const batches: TopicMessage[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const message of messages) {
    const size = sizeOf(message)
    const batch = batches.at(-1)
    if (batch && batch.length < MAX_BATCH_MESSAGES && bytes + size <= MAX_BATCH_BYTES) {
      batch.push(message)
      bytes += size
    } else {
      batches.push([message])
      bytes = size
    }
  }
  return batches
}

function sizeOf({ body, attributes }: TopicMessage): number {
  return Buffer.byteLength(body) + Buffer.byteLength(JSON.stringify(attributes)) + ALLOWANCE
}

/** Errors of a whole request for which one of its messages may be the reason. */
const REFUSALS = [
  'InvalidParameterException',
  'InvalidParameterValueException',
  'BatchRequestTooLongException',
]

/**
 * Publish one batch; answers the errors of the messages that were not taken. A batch that is refused as a whole is
 * published message by message, so that one of them holds up no other.
 */
async function publishBatch(
  client: SNSClient,
  topic: Pick<Topic, 'arn' | 'fifo'>,
  batch: readonly TopicMessage[],
  abortSignal: AbortSignal,
): Promise<[id: string, error: Error][]> {
  const PublishBatchRequestEntries = batch.map((message, at) => entryOf(message, at, topic.fifo))
  const request = new PublishBatchCommand({ TopicArn: topic.arn, PublishBatchRequestEntries })
  try {
    const { Failed = [] } = await client.send(request, { abortSignal })
    return Failed.flatMap(({ Id, Code, Message }): [string, Error][] => {
      const message = batch[Number(Id)]
      return message ? [[message.id, new Error([Code, Message].filter(Boolean).join(': '))]] : []
    })
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error))
    if (batch.length === 1 || !REFUSALS.includes(reason.name)) return batch.map(({ id }) => [id, reason])
    const errors: [id: string, error: Error][] = []
    for (const message of batch) errors.push(...(await publishBatch(client, topic, [message], abortSignal)))
    return errors
  }
}

function entryOf(message: TopicMessage, at: number, fifo: boolean): PublishBatchRequestEntry {
  return {
    Id: String(at),
    Message: message.body,
    MessageAttributes: Object.fromEntries(
      Object.entries(message.attributes).map(([name, value]) => [name, attributeOf(value)]),
    ),
    ...(fifo ? { MessageGroupId: message.group, MessageDeduplicationId: message.deduplicationId } : {}),
  }
}

function attributeOf(value: string | readonly string[]): MessageAttributeValue {
  return typeof value === 'string'
    ? { DataType: 'String', StringValue: value }
    : { DataType: 'String.Array', StringValue: JSON.stringify(value) }
}
