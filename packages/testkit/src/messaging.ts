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

/** Topics and queues of a test's own, on the emulator, spoken to by the SDK's clients. */
export interface TestMessaging extends PreparedMessaging {
  /** The settings with which the programs of the product use them. */
  environment: Record<string, string>
  sns: ReturnType<typeof createSnsClient>
  sqs: ReturnType<typeof createSqsClient>
  /** A new queue that gets what a topic is given; as it is, or with SNS's envelope. */
  subscribe(topicArn: string, options?: { filter?: Record<string, unknown>; raw?: boolean }): Promise<string>
  /** Send a body, as it is, to the queue of the product or another. */
  send(body: string, queueUrl?: string): Promise<void>
  /** Send an event in a CloudEvent. */
  tell(type: string, data: unknown, queueUrl?: string): Promise<void>
  /** Take what a queue holds, until there are so many. */
  receive(queueUrl: string, count: number): Promise<Message[]>
  /** How many messages a queue holds, those that are being worked on included. */
  size(queueUrl: string): Promise<number>
  close(): void
}

/** Make topics and queues on an emulator. */
export async function createTestMessaging({ endpoint }: Pick<TestS3, 'endpoint'>): Promise<TestMessaging> {
  useTestCredentials()
  const place = { region: TEST_REGION, endpoint }
  const [sns, sqs] = [createSnsClient(place), createSqsClient(place)]
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
    tell: (type, data, queueUrl) =>
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
