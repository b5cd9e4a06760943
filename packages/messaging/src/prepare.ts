import { CreateTopicCommand, type SNSClient } from '@aws-sdk/client-sns'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  QueueDoesNotExist,
  type SQSClient,
} from '@aws-sdk/client-sqs'

/** The topics and queues of an installation. */
export interface PreparedMessaging {
  topicArn: string
  fifoTopicArn: string
  queueUrl: string
  deadLetterUrl: string
}

/** Number of receives before a message is moved to the dead-letter queue. */
const MAX_RECEIVES = 5
const RETENTION_SECONDS = 14 * 24 * 3600

/**
 * Creates the topics and queues of an installation: `<prefix>-runs`, `<prefix>-runs.fifo`, `<prefix>-events` and its
 * dead-letter queue `<prefix>-events-dead`. Existing ones are not changed.
 */
export async function prepareMessaging(
  sns: SNSClient,
  sqs: SQSClient,
  prefix: string,
): Promise<PreparedMessaging> {
  const deadLetterUrl = await ensureQueue(sqs, `${prefix}-events-dead`, {
    MessageRetentionPeriod: String(RETENTION_SECONDS),
  })
  const deadLetterTargetArn = await arnOf(sqs, deadLetterUrl)
  const queueUrl = await ensureQueue(sqs, `${prefix}-events`, {
    MessageRetentionPeriod: String(RETENTION_SECONDS),
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: MAX_RECEIVES }),
  })
  return {
    topicArn: await ensureTopic(sns, `${prefix}-runs`),
    fifoTopicArn: await ensureTopic(sns, `${prefix}-runs.fifo`),
    queueUrl,
    deadLetterUrl,
  }
}

async function ensureTopic(sns: SNSClient, Name: string): Promise<string> {
  const Attributes = Name.endsWith('.fifo') ? { FifoTopic: 'true' } : undefined
  const { TopicArn } = await sns.send(new CreateTopicCommand({ Name, Attributes }))
  if (TopicArn === undefined) throw new Error(`SNS has made the topic "${Name}" without an ARN`)
  return TopicArn
}

async function ensureQueue(
  sqs: SQSClient,
  QueueName: string,
  Attributes: Record<string, string>,
): Promise<string> {
  const there = await sqs.send(new GetQueueUrlCommand({ QueueName })).catch((error: unknown) => {
    if (error instanceof QueueDoesNotExist) return { QueueUrl: undefined }
    throw error
  })
  const { QueueUrl } =
    there.QueueUrl === undefined ? await sqs.send(new CreateQueueCommand({ QueueName, Attributes })) : there
  if (QueueUrl === undefined) throw new Error(`SQS has made the queue "${QueueName}" without an address`)
  return QueueUrl
}

async function arnOf(sqs: SQSClient, QueueUrl: string): Promise<string> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  )
  if (Attributes?.QueueArn === undefined) throw new Error(`the queue ${QueueUrl} does not tell its ARN`)
  return Attributes.QueueArn
}
