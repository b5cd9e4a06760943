import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { createTestMessaging, type TestMessaging } from '@aduana/testkit/messaging'
import { createTestS3, TEST_REGION, type TestS3, useTestCredentials } from '@aduana/testkit/s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSnsClient } from './clients.ts'
import { batchesOf, MAX_BATCH_BYTES, snsTopic, type TopicMessage } from './sns-topic.ts'
import { describeTopic } from './testing/topic-conformance.ts'

describeTopic('a standard topic', ({ topicArn }) => topicArn)
describeTopic('a FIFO topic', ({ fifoTopicArn }) => fifoTopicArn)

const never = new AbortController().signal
const message = (group: string, number: number, more: Partial<TopicMessage> = {}): TopicMessage => {
  const id = `${group} ${number}`
  return { id, body: id, attributes: {}, group, deduplicationId: id, ...more }
}

describe('only a FIFO topic', () => {
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

  test('delivers the messages of a group in the order in which they were published', async () => {
    const queue = await messaging.subscribe(messaging.fifoTopicArn)
    const groups = Array.from({ length: 20 }, (_, at) => `group${at}`)
    const all = Array.from({ length: 25 }, (_, number) =>
      groups.map((group) => message(group, number)),
    ).flat()
    expect(await snsTopic(messaging.sns, messaging.fifoTopicArn).publish(all, never)).toEqual(new Map())
    const got = (await messaging.receive(queue, all.length)).map(({ Body = '' }) => Body)
    for (const group of groups)
      expect(got.filter((body) => body.startsWith(`${group} `))).toEqual(
        Array.from({ length: 25 }, (_, number) => `${group} ${number}`),
      )
  })

  test('delivers what is published twice once, by its deduplication id', async () => {
    const queue = await messaging.subscribe(messaging.fifoTopicArn)
    const topic = snsTopic(messaging.sns, messaging.fifoTopicArn)
    await topic.publish([message('twice', 1), message('twice', 2)], never)
    await topic.publish([message('twice', 1, { body: 'in another form' }), message('twice', 3)], never)
    const got = (await messaging.receive(queue, 3)).map(({ Body }) => Body)
    expect(got).toEqual(['twice 1', 'twice 2', 'twice 3'])
    expect(await messaging.size(queue)).toBe(0)
  })
})

test('a batch that is refused as a whole is published message by message', async () => {
  useTestCredentials()
  const asked: string[][] = []
  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(await text(request))
    const bodies = [...form].filter(([name]) => name.endsWith('.Message')).map(([, value]) => value)
    asked.push(bodies)
    const poison = bodies.includes('a 2')
    response.writeHead(poison ? 400 : 200, { 'content-type': 'text/xml' })
    response.end(
      poison
        ? '<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>a bad character</Message></Error></ErrorResponse>'
        : '<PublishBatchResponse><PublishBatchResult><Successful/><Failed/></PublishBatchResult></PublishBatchResponse>',
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const client = createSnsClient({ region: TEST_REGION, endpoint: `http://127.0.0.1:${address.port}` })
  const topic = snsTopic(client, 'arn:aws:sns:us-east-1:123456789012:runs')
  const errors = await topic.publish(
    [1, 2, 3].map((number) => message('a', number)),
    never,
  )
  client.destroy()
  server.closeAllConnections()
  server.close()
  expect([...errors].map(([id, error]) => [id, error.message])).toEqual([['a 2', 'a bad character']])
  expect(asked).toEqual([['a 1', 'a 2', 'a 3'], ['a 1'], ['a 2'], ['a 3']])
})

test('messages are batched up to ten, as long as they fit into a request with their attributes', () => {
  const half = message('a', 1, { body: 'x'.repeat(MAX_BATCH_BYTES / 2 - 10_000) })
  const attributes = { datasets: Array.from({ length: 2000 }, (_, at) => `dataset ${at}`) }
  expect(batchesOf([half, half, half]).map(({ length }) => length)).toEqual([2, 1])
  expect(batchesOf([half, { ...half, attributes }]).map(({ length }) => length)).toEqual([1, 1])
  const huge = message('a', 2, { body: 'x'.repeat(MAX_BATCH_BYTES + 1) })
  expect(batchesOf([half, huge, half]).map(({ length }) => length)).toEqual([1, 1, 1])
  expect(batchesOf(Array.from({ length: 23 }, (_, at) => message('a', at))).map((all) => all.length)).toEqual(
    [10, 10, 3],
  )
})
