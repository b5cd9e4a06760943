import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { createTestMessaging, type TestMessaging } from '@aduana/testkit/messaging'
import { createTestS3, TEST_REGION, type TestS3 } from '@aduana/testkit/s3'
import type { PublishBatchCommand } from '@aws-sdk/client-sns'
import type { Message } from '@aws-sdk/client-sqs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createSnsClient } from '../clients.ts'
import { snsTopic, type Topic, type TopicMessage } from '../sns-topic.ts'

const never = new AbortController().signal

/** Returns a message with an id, which is also its default body. */
function message(id: string, more: Partial<TopicMessage> = {}): TopicMessage {
  const group = id.split(' ')[0] ?? id
  return { id, body: id, attributes: { kind: 'plain' }, group, deduplicationId: id, ...more }
}

const bodies = (messages: readonly Message[]) => messages.map(({ Body }) => Body ?? '').sort()
const ids = (errors: ReadonlyMap<string, Error>) => [...errors.keys()].sort()
const requestsOf = (sns: TestMessaging['sns']) => {
  const requests: { entries: number; bytes: number; ids: string[] }[] = []
  sns.middlewareStack.add(
    (next) => async (given) => {
      const { PublishBatchRequestEntries: entries = [] } = given.input as PublishBatchCommand['input']
      const sizes = entries.map(({ Message: body = '', MessageAttributes }) =>
        Object.entries(MessageAttributes ?? {}).reduce(
          (sum, [name, { DataType = '', StringValue = '' }]) =>
            sum + Buffer.byteLength(name + DataType + StringValue),
          Buffer.byteLength(body),
        ),
      )
      const texts = entries.map(({ Message: body = '' }) => body)
      requests.push({ entries: entries.length, bytes: sizes.reduce((a, b) => a + b, 0), ids: texts })
      return next(given)
    },
    { step: 'initialize', name: 'watchRequests' },
  )
  return requests
}

/** Declares the tests of every publisher of events. */
export function describeTopic(name: string, arnOf: (messaging: TestMessaging) => string): void {
  describe(name, () => {
    let emulator: TestS3
    let messaging: TestMessaging
    let topic: Topic
    beforeAll(async () => {
      emulator = await createTestS3()
    })
    afterAll(() => emulator.stop())
    beforeEach(async () => {
      messaging = await createTestMessaging(emulator)
      topic = snsTopic(messaging.sns, arnOf(messaging))
      return () => messaging.close()
    })
    const at = (endpoint: string) => {
      const client = createSnsClient({ region: TEST_REGION, endpoint })
      return { topic: snsTopic(client, topic.arn), close: () => client.destroy() }
    }

    test('takes any number of messages, ten and 256 KiB at a time', async () => {
      const requests = requestsOf(messaging.sns)
      const queue = await messaging.subscribe(topic.arn)
      const small = Array.from({ length: 45 }, (_, at) => message(`g${at % 3} ${at}`))
      const large = Array.from({ length: 7 }, (_, at) =>
        message(`g${at % 3} large ${at}`, { body: randomBytes(50_000).toString('hex') }),
      )
      const all = [...small, ...large]
      expect(await topic.publish(all, never)).toEqual(new Map())
      expect(bodies(await messaging.receive(queue, all.length))).toEqual(all.map(({ body }) => body).sort())
      expect(requests.reduce((sum, { entries }) => sum + entries, 0)).toBe(all.length)
      expect(Math.max(...requests.map(({ entries }) => entries))).toBe(10)
      expect(Math.max(...requests.map(({ bytes }) => bytes))).toBeLessThanOrEqual(256 * 1024)
    })

    test('gives nothing to SNS when there is nothing to publish', async () => {
      const requests = requestsOf(messaging.sns)
      expect(await topic.publish([], never)).toEqual(new Map())
      expect(requests).toEqual([])
    })

    test('gives the attributes to subscribers, who filter by them', async () => {
      const some = await messaging.subscribe(topic.arn, { filter: { runner: ['external'] } })
      const other = await messaging.subscribe(topic.arn, { filter: { grain: ['total'] } })
      const attributes = {
        runner: 'external',
        grain: 'company',
        datasets: ['production', 'with "quotes" & ñ'],
      }
      await topic.publish(
        [message('a', { attributes }), message('b', { attributes: { runner: 'builtin', grain: 'total' } })],
        never,
      )
      const [outside, ...rest] = await messaging.receive(some, 1)
      expect(rest).toEqual([])
      expect(outside).toMatchObject({
        Body: 'a',
        MessageAttributes: {
          runner: { DataType: 'String', StringValue: 'external' },
          datasets: { DataType: 'String.Array', StringValue: JSON.stringify(attributes.datasets) },
        },
      })
      expect(bodies(await messaging.receive(other, 1))).toEqual(['b'])
      expect(await messaging.size(some)).toBe(0)
      expect(await messaging.size(other)).toBe(0)
    })

    test('tells by its id which message was not taken; all others are', async () => {
      const queue = await messaging.subscribe(topic.arn)
      const errors = await topic.publish(
        [message('a 1'), message('a 2', { body: 'x'.repeat(256 * 1024 + 1) }), message('a 3')],
        never,
      )
      expect(ids(errors)).toEqual(['a 2'])
      expect(errors.get('a 2')?.message).toMatch(/InvalidParameter.*too long/)
      expect(bodies(await messaging.receive(queue, 2))).toEqual(['a 1', 'a 3'])
    })

    test('tells of all messages when SNS answers nothing but errors, and takes them when it works again', async () => {
      const queue = await messaging.subscribe(topic.arn)
      const all = Array.from({ length: 12 }, (_, at) => message(`g ${at}`))
      emulator.setUnavailable(true)
      const errors = await topic.publish(all, never)
      emulator.setUnavailable(false)
      expect(ids(errors)).toEqual(all.map(({ id }) => id).sort())
      expect(await topic.publish(all, never)).toEqual(new Map())
      await messaging.receive(queue, all.length)
    })

    test('tells of all messages when nobody is there', async () => {
      const gone = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => gone.once('listening', resolve))
      const address = gone.address()
      await new Promise((resolve) => gone.close(resolve))
      if (address === null || typeof address === 'string') throw new Error('no port')
      const nobody = at(`http://127.0.0.1:${address.port}`)
      const errors = await nobody.topic.publish([message('a'), message('b')], never)
      nobody.close()
      expect(ids(errors)).toEqual(['a', 'b'])
      expect(errors.get('a')?.message).toContain('ECONNREFUSED')
    })

    test('gives up at once when told to, and says which messages nobody has taken', async () => {
      const sockets = new Set<{ destroy(): void }>()
      const asked = new AbortController()
      const silent = createServer((socket) => {
        sockets.add(socket)
        socket.on('error', () => undefined)
        socket.once('data', () => asked.abort(new Error('too late')))
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => silent.once('listening', resolve))
      const address = silent.address()
      if (address === null || typeof address === 'string') throw new Error('no port')
      const nobody = at(`http://127.0.0.1:${address.port}`)
      const all = Array.from({ length: 100 }, (_, at) => message(`g ${at}`))
      const errors = await nobody.topic.publish(all, asked.signal)
      expect(errors.size).toBe(100)
      nobody.close()
      for (const socket of sockets) socket.destroy()
      silent.close()
    })

    test('that does not exist is told of each message', async () => {
      const missing = snsTopic(messaging.sns, topic.arn.replace(':test-', ':missing-'))
      const errors = await missing.publish([message('a'), message('b')], never)
      expect(ids(errors)).toEqual(['a', 'b'])
      expect(errors.get('a')?.message).toContain('does not exist')
    })
  })
}
