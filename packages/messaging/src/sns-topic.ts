import {
  type MessageAttributeValue,
  PublishBatchCommand,
  type PublishBatchRequestEntry,
  type SNSClient,
} from '@aws-sdk/client-sns'

/** A message for a topic. */
export interface TopicMessage {
  /** Identifies the message in the result. */
  id: string
  body: string
  /** Attributes for the filters of subscribers. */
  attributes: Readonly<Record<string, string | readonly string[]>>
  /** A FIFO topic delivers messages of a group in order. */
  group: string
  /** A FIFO topic accepts the same id once within five minutes. */
  deduplicationId: string
}

/** A topic of SNS. */
export interface Topic {
  arn: string
  fifo: boolean
  /**
   * Publishes messages; on a FIFO topic those of a group in order. Returns the errors of messages that were not accepted, by
   * id: of all if SNS cannot be reached, of the remaining ones if `signal` is aborted.
   */
  publish(messages: readonly TopicMessage[], signal: AbortSignal): Promise<ReadonlyMap<string, Error>>
}

/** Limits of `PublishBatch` in the API reference of SNS. The size includes bodies and attributes. */
const MAX_BATCH_MESSAGES = 10
export const MAX_BATCH_BYTES = 256 * 1024
/** Allowance for the names and types of attributes. */
const ATTRIBUTE_BYTES = 2048
/** Number of concurrent requests. */
const LANES = 8

/** Returns the topic with an ARN. A name that ends in `.fifo` is a FIFO topic. */
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

/** Distributes messages over lanes: those of a group in the same lane, in order. */
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

/** Distributes batches over lanes, in any order. */
function spread(batches: readonly TopicMessage[][]): TopicMessage[][][] {
  return Array.from({ length: LANES }, (_, lane) => batches.filter((_batch, at) => at % LANES === lane))
}

/** Splits messages into batches within the limits. A message that is too large gets its own batch, which SNS refuses. */
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
  return Buffer.byteLength(body) + Buffer.byteLength(JSON.stringify(attributes)) + ATTRIBUTE_BYTES
}

/** Errors of a request that one of its messages may cause. */
const REFUSALS = [
  'InvalidParameterException',
  'InvalidParameterValueException',
  'BatchRequestTooLongException',
]

/**
 * Publishes one batch and returns the errors of messages that were not accepted. A batch that is refused as a whole is
 * published message by message, so that one message does not block the others.
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
