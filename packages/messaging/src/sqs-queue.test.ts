import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger, type Logger } from '@aduana/runtime/logger'
import { createTestMessaging, type TestMessaging } from '@aduana/testkit/messaging'
import { startProxy } from '@aduana/testkit/proxy'
import { createTestS3, TEST_REGION, type TestS3 } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import { CreateQueueCommand, DeleteQueueCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createSqsClient } from './clients.ts'
import { snsTopic } from './sns-topic.ts'
import { consumeQueue, type QueueConsumer, type QueueMessage, type QueueOptions } from './sqs-queue.ts'

let emulator: TestS3
let messaging: TestMessaging
beforeAll(async () => {
  emulator = await createTestS3()
})
afterAll(() => emulator.stop())

interface Logged {
  event: string
}
let logged: Logged[]
let logger: Logger
let consumers: QueueConsumer[]
let polls: number
/** Polls that SQS has answered; one that is given up is not among them. */
let answered: number
beforeEach(async () => {
  messaging = await createTestMessaging(emulator)
  logged = []
  consumers = []
  polls = 0
  answered = 0
  messaging.sqs.middlewareStack.add(
    (next, { commandName }) =>
      async (given) => {
        if (commandName !== 'ReceiveMessageCommand') return next(given)
        polls += 1
        const answer = await next(given)
        answered += 1
        return answer
      },
    { step: 'initialize', name: 'countPolls' },
  )
  const note = (facts: Logged) => void logged.push(facts)
  logger = Object.assign(createLogger({ name: 'test', level: 'silent', pretty: false }), {
    info: note,
    warn: note,
    error: note,
  })
})
afterEach(async () => {
  await Promise.all(consumers.map((consumer) => consumer.stop()))
  messaging.close()
})

/** Consume the queue of the test; answers what has come, in the order in which it came. */
function consume(
  verdict: (message: QueueMessage) => 'done' | 'again' | 'refused' | Promise<'done' | 'again' | 'refused'>,
  options: Partial<QueueOptions> = {},
) {
  const got: QueueMessage[] = []
  const consumer = consumeQueue({
    client: messaging.sqs,
    url: messaging.queueUrl,
    logger,
    pauseMs: 50,
    handle: async (messages) => {
      got.push(...messages)
      return Promise.all(messages.map(verdict))
    },
    ...options,
  })
  consumers.push(consumer)
  return { got, consumer, texts: () => got.map(({ text }) => text) }
}
const holds = (queueUrl: string, count: number) =>
  until(async () => (await messaging.size(queueUrl)) === count, {
    what: `${count} messages are in ${queueUrl}`,
  })
const polling = () => until(() => polls > 0, { what: 'a poll has begun' })
const events = (name: string) => logged.filter(({ event }) => event === name)

describe('a queue', () => {
  test('delivers a message as soon as it arrives, and deletes it when it is processed', async () => {
    const { got } = consume(() => 'done')
    await polling()
    await messaging.send('hello')
    // A poll lasts twenty seconds when nothing comes.
    await until(() => got.length === 1, { within: 15_000, what: 'the message has come' })
    expect(got).toEqual([{ id: expect.stringMatching(/./), text: 'hello', receives: 1 }])
    await holds(messaging.queueUrl, 0)
  })

  test('delivers up to ten messages at once, and eventually all', async () => {
    const sizes: number[] = []
    for (let number = 0; number < 35; number += 1) await messaging.send(`message ${number}`)
    const { got } = consume(() => 'done', {
      polls: 3,
      handle: async (messages) => {
        sizes.push(messages.length)
        got.push(...messages)
        return messages.map(() => 'done' as const)
      },
    })
    await holds(messaging.queueUrl, 0)
    expect(new Set(got.map(({ text }) => text)).size).toBe(35)
    expect(got).toHaveLength(35)
    expect(Math.max(...sizes)).toBe(10)
  })

  test('delivers a message again only if it was not processed, once it becomes visible', async () => {
    const { got, texts } = consume(
      ({ text, receives }) => (text === 'again' && receives < 3 ? 'again' : 'done'),
      {
        visibilitySeconds: 1,
      },
    )
    await messaging.send('again')
    await messaging.send('done')
    await until(() => got.length === 4, { what: 'it has come three times' })
    await holds(messaging.queueUrl, 0)
    expect(texts().filter((text) => text === 'done')).toHaveLength(1)
    expect(got.filter(({ text }) => text === 'again').map(({ receives }) => receives)).toEqual([1, 2, 3])
  })

  test('moves a refused message to its dead-letter queue at once, and processes the others of the batch', async () => {
    for (const text of ['good', 'bad', 'good too']) await messaging.send(text)
    const { got } = consume(({ text }) => (text === 'bad' ? 'refused' : 'done'))
    const dead = await messaging.receive(messaging.deadLetterUrl, 1)
    expect(dead.map(({ Body }) => Body)).toEqual(['bad'])
    expect(got.filter(({ text }) => text === 'bad').map(({ receives }) => receives)).toEqual([1, 2, 3, 4, 5])
    await holds(messaging.queueUrl, 0)
  })

  test('without a dead-letter queue deletes refused messages, and logs that', async () => {
    const { QueueUrl: url = '' } = await messaging.sqs.send(
      new CreateQueueCommand({ QueueName: `no-dead-${Date.now()}` }),
    )
    await messaging.send('bad', url)
    const { got } = consume(() => 'refused', { url })
    await holds(url, 0)
    expect(got).toHaveLength(1)
    expect(events('queue.no_dead_letter_queue')).toMatchObject([{ queue: url, messages: 1 }])
  })

  test('unwraps a notification of SNS, also if the message looks like a notification itself', async () => {
    const topic = snsTopic(messaging.sns, messaging.topicArn)
    const bodies = ['{"a":"ñ"}', JSON.stringify({ Type: 'Notification', TopicArn: 'x', Message: 'inner' })]
    const envelope = await messaging.subscribe(messaging.topicArn, { raw: false })
    const raw = await messaging.subscribe(messaging.topicArn)
    const publish = bodies.map((body, at) => ({
      id: `${at}`,
      body,
      attributes: {},
      group: 'a',
      deduplicationId: `${at}`,
    }))
    await topic.publish(publish, new AbortController().signal)
    const inEnvelopes = consume(() => 'done', { url: envelope })
    const asTheyAre = consume(() => 'done', { url: raw })
    await until(() => inEnvelopes.got.length === 2 && asTheyAre.got.length === 2, { what: 'all have come' })
    expect(inEnvelopes.texts().sort()).toEqual([...bodies].sort())
    // Without envelopes a message that looks like a notification is treated as one.
    expect(asTheyAre.texts().sort()).toEqual([bodies[0], 'inner'].sort())
  })

  test('delivers a message once even if it takes longer than its visibility timeout', async () => {
    let worked = false
    const slow = async () => {
      await sleep(3000)
      worked = true
      return 'done' as const
    }
    const first = consume(slow, { visibilitySeconds: 1 })
    await messaging.send('slow')
    await until(() => first.got.length === 1, { what: 'the message is in progress' })
    const meanwhile = consume(() => 'done', { visibilitySeconds: 1 })
    await until(() => worked, { what: 'the work is done' })
    await holds(messaging.queueUrl, 0)
    expect(meanwhile.got).toEqual([])
    expect(first.got).toHaveLength(1)
  })

  test('delivers all messages again when their consumer fails', async () => {
    let broken = true
    const got: string[] = []
    await messaging.send('a')
    await messaging.send('b')
    consume(() => 'done', {
      visibilitySeconds: 1,
      handle: async (messages) => {
        if (broken) {
          broken = false
          throw new Error('broken down')
        }
        got.push(...messages.map(({ text }) => text))
        return messages.map(() => 'done' as const)
      },
    })
    await holds(messaging.queueUrl, 0)
    expect(got.sort()).toEqual(['a', 'b'])
    expect(events('queue.failed')).toHaveLength(1)
  })
})

describe('a consumer that stops', () => {
  test('waits for the messages in progress, and receives no more', async () => {
    let finish: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      finish = resolve
    })
    const { got, consumer } = consume(() => held.then(() => 'done' as const))
    await messaging.send('at hand')
    await until(() => got.length === 1, { what: 'it is at hand' })
    let stopped = false
    const stopping = consumer.stop().then(() => {
      stopped = true
    })
    await messaging.send('later')
    expect(stopped).toBe(false)
    finish()
    await stopping
    await holds(messaging.queueUrl, 1)
    expect(got.map(({ text }) => text)).toEqual(['at hand'])
  })

  test('does not wait for an empty poll', async () => {
    const { consumer } = consume(() => 'done', { polls: 2 })
    await polling()
    const before = answered
    await consumer.stop()
    expect(answered).toBe(before)
    expect(logged).toEqual([])
  })

  test('notifies the handlers of messages in progress', async () => {
    let waiting = false
    const { consumer } = consume(() => 'done', {
      handle: (messages, stopping) =>
        new Promise((resolve) => {
          waiting = true
          stopping.addEventListener('abort', () => resolve(messages.map(() => 'again')))
        }),
    })
    await messaging.send('waits')
    await until(() => waiting, { what: 'somebody is at work' })
    await consumer.stop()
    await holds(messaging.queueUrl, 1)
  })
})

describe('a queue that cannot be used', () => {
  test('because it does not exist is used once it does', async () => {
    const QueueName = `later-${Date.now()}`
    const { QueueUrl: url = '' } = await messaging.sqs.send(new CreateQueueCommand({ QueueName }))
    await messaging.sqs.send(new DeleteQueueCommand({ QueueUrl: url }))
    await expect(messaging.sqs.send(new GetQueueUrlCommand({ QueueName }))).rejects.toThrow()
    const { got } = consume(() => 'done', { url })
    await until(() => events('queue.failed').length >= 3, { what: 'it has been looked for' })
    await messaging.sqs.send(new CreateQueueCommand({ QueueName }))
    await messaging.send('hello', url)
    await until(() => got.length === 1, { what: 'the message has come' })
  })

  test('because nothing responds is polled at intervals, and used once it responds', async () => {
    const { hostname: host, port } = new URL(emulator.endpoint)
    const proxy = await startProxy({ host, port: Number(port) })
    const client = createSqsClient({ region: TEST_REGION, endpoint: `http://127.0.0.1:${proxy.port}` })
    let requests = 0
    client.middlewareStack.add(
      (next) => (given) => {
        requests += 1
        return next(given)
      },
      { step: 'initialize', name: 'count' },
    )
    proxy.refuse()
    const began = Date.now()
    const { got, consumer } = consume(() => 'done', { client, pauseMs: 200 })
    await until(() => events('queue.failed').length >= 3, { what: 'it has been looked for' })
    expect(requests).toBeLessThanOrEqual(2 + (Date.now() - began) / 200)
    proxy.resume()
    await messaging.send('hello')
    await until(() => got.length === 1, { what: 'the message has come' })
    await consumer.stop()
    client.destroy()
    await proxy.close()
  })

  test('because SQS returns only errors is used once it responds', async () => {
    emulator.setUnavailable(true)
    const { got } = consume(() => 'done')
    await until(() => events('queue.failed').length >= 1, { what: 'it has been looked for' })
    emulator.setUnavailable(false)
    await messaging.send('hello')
    await until(() => got.length === 1, { what: 'the message has come' })
    await holds(messaging.queueUrl, 0)
  })
})
