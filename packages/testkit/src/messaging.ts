import { randomUUID } from 'node:crypto'
import { createSnsClient, createSqsClient } from '@aduana/messaging/clients'
import { type PreparedMessaging, prepareMessaging } from '@aduana/messaging/prepare'
import { SubscribeCommand } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs'
import { TEST_REGION, type TestS3, useTestCredentials } from './s3.ts'
import { until } from './until.ts'

/** Topics and queues of one test on the emulator, with clients of the SDK. */
export interface TestMessaging extends PreparedMessaging {
  /** The settings with which the programs use them. */
  environment: Record<string, string>
  sns: ReturnType<typeof createSnsClient>
  sqs: ReturnType<typeof createSqsClient>
  /** Creates a queue that subscribes to a topic, for raw messages or messages in the envelope of SNS. Returns its URL. */
  subscribe(topicArn: string, options?: { filter?: Record<string, unknown>; raw?: boolean }): Promise<string>
  /** Sends a body unchanged, by default to the queue of the product. */
  send(body: string, queueUrl?: string): Promise<void>
  /** Sends an event as a CloudEvent, by default to the queue of the product. */
  sendEvent(type: string, data: unknown, queueUrl?: string): Promise<void>
  /** Receives and deletes messages until there are `count`. */
  receive(queueUrl: string, count: number): Promise<Message[]>
  /** Returns the number of messages of a queue, including received ones that are not deleted. */
  size(queueUrl: string): Promise<number>
  close(): void
}

/** Creates topics and queues on an emulator. */
export async function createTestMessaging({ endpoint }: Pick<TestS3, 'endpoint'>): Promise<TestMessaging> {
  useTestCredentials()
  const options = { region: TEST_REGION, endpoint }
  const [sns, sqs] = [createSnsClient(options), createSqsClient(options)]
  const prepared = await prepareMessaging(sns, sqs, `test-${randomUUID()}`)
  const attributes = async (QueueUrl: string) =>
    (await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }))).Attributes ?? {}
  const send = async (MessageBody: string, QueueUrl = prepared.queueUrl) => {
    const fifo = QueueUrl.endsWith('.fifo')
    const ids = fifo ? { MessageGroupId: 'test', MessageDeduplicationId: randomUUID() } : {}
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody, ...ids }))
  }
  return {
    ...prepared,
    sns,
    sqs,
    environment: {
      ADUANA_SNS_TOPIC_ARN: prepared.topicArn,
      ADUANA_SNS_FIFO_TOPIC_ARN: prepared.fifoTopicArn,
      ADUANA_SQS_QUEUE_URLS: prepared.queueUrl,
    },
    subscribe: async (TopicArn, { filter, raw = true } = {}) => {
      const fifo = TopicArn.endsWith('.fifo')
      const { QueueUrl = '' } = await sqs.send(
        new CreateQueueCommand({
          QueueName: `test-${randomUUID()}${fifo ? '.fifo' : ''}`,
          ...(fifo ? { Attributes: { FifoQueue: 'true' } } : {}),
        }),
      )
      await sns.send(
        new SubscribeCommand({
          TopicArn,
          Protocol: 'sqs',
          Endpoint: (await attributes(QueueUrl)).QueueArn,
          Attributes: {
            RawMessageDelivery: String(raw),
            ...(filter ? { FilterPolicy: JSON.stringify(filter) } : {}),
          },
        }),
      )
      return QueueUrl
    },
    send,
    sendEvent: (type, data, queueUrl) =>
      send(JSON.stringify({ specversion: '1.0', id: randomUUID(), source: '/test', type, data }), queueUrl),
    receive: async (QueueUrl, count) => {
      const found: Message[] = []
      await until(
        async () => {
          const { Messages = [] } = await sqs.send(
            new ReceiveMessageCommand({
              QueueUrl,
              MaxNumberOfMessages: 10,
              WaitTimeSeconds: 1,
              MessageAttributeNames: ['All'],
              MessageSystemAttributeNames: ['All'],
            }),
          )
          found.push(...Messages)
          if (Messages.length > 0)
            await sqs.send(
              new DeleteMessageBatchCommand({
                QueueUrl,
                Entries: Messages.map(({ ReceiptHandle }, at) => ({ Id: String(at), ReceiptHandle })),
              }),
            )
          return found.length >= count
        },
        { within: 120_000, what: `${count} messages in ${QueueUrl}; there are ${found.length}` },
      )
      return found
    },
    size: async (queueUrl) => {
      const { ApproximateNumberOfMessages = '0', ApproximateNumberOfMessagesNotVisible = '0' } =
        await attributes(queueUrl)
      return Number(ApproximateNumberOfMessages) + Number(ApproximateNumberOfMessagesNotVisible)
    },
    close: () => {
      sns.destroy()
      sqs.destroy()
    },
  }
}
