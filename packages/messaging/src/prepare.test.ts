import { createTestMessaging, type TestMessaging } from '@aduana/testkit/messaging'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { ListTopicsCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, GetQueueAttributesCommand, ListQueuesCommand } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareMessaging } from './prepare.ts'

let emulator: TestS3
let messaging: TestMessaging
beforeAll(async () => {
  emulator = await createTestS3()
  messaging = await createTestMessaging(emulator)
})
afterAll(async () => {
  messaging.close()
  await emulator.stop()
})

const attributesOf = async (QueueUrl: string) => {
  const { sqs } = messaging
  const { Attributes = {} } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
  )
  return Attributes
}

test('an installation has topics, a queue, and a dead-letter queue that keeps messages for two weeks', async () => {
  const made = await prepareMessaging(messaging.sns, messaging.sqs, 'plant')
  expect(made).toEqual({
    topicArn: expect.stringMatching(/:plant-runs$/),
    fifoTopicArn: expect.stringMatching(/:plant-runs\.fifo$/),
    queueUrl: expect.stringMatching(/\/plant-events$/),
    deadLetterUrl: expect.stringMatching(/\/plant-events-dead$/),
  })
  const { RedrivePolicy = '{}', MessageRetentionPeriod } = await attributesOf(made.queueUrl)
  const dead = await attributesOf(made.deadLetterUrl)
  expect(JSON.parse(RedrivePolicy)).toEqual({ deadLetterTargetArn: dead.QueueArn, maxReceiveCount: 5 })
  expect([MessageRetentionPeriod, dead.MessageRetentionPeriod]).toEqual(['1209600', '1209600'])
})

test('preparing twice creates everything once', async () => {
  const count = async () => {
    const { Topics = [] } = await messaging.sns.send(new ListTopicsCommand({}))
    const { QueueUrls = [] } = await messaging.sqs.send(new ListQueuesCommand({}))
    return Topics.length + QueueUrls.length
  }
  const first = await prepareMessaging(messaging.sns, messaging.sqs, 'twice')
  const before = await count()
  expect(await prepareMessaging(messaging.sns, messaging.sqs, 'twice')).toEqual(first)
  expect(await count()).toBe(before)
})

test('an existing queue keeps its attributes', async () => {
  const QueueName = 'kept-events'
  await messaging.sqs.send(
    new CreateQueueCommand({ QueueName, Attributes: { MessageRetentionPeriod: '3600' } }),
  )
  const { queueUrl } = await prepareMessaging(messaging.sns, messaging.sqs, 'kept')
  const { MessageRetentionPeriod, RedrivePolicy } = await attributesOf(queueUrl)
  expect(MessageRetentionPeriod).toBe('3600')
  expect(RedrivePolicy).toBeUndefined()
})
