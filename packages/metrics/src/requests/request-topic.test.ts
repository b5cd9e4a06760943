import { randomUUID } from 'node:crypto'
import { CloudEvent, MetricRunRequest } from '@aduana/contracts/metrics/events'
import { snsTopic } from '@aduana/messaging/sns-topic'
import { deliver } from '@aduana/outbox/deliver'
import type { Destination, OutboundEvent } from '@aduana/outbox/destination'
import { createMetricQueue, type MetricQueue } from '@aduana/queue/metric-queue'
import { createLogger } from '@aduana/runtime/logger'
import { createTestMessaging, type TestMessaging } from '@aduana/testkit/messaging'
import { createTestRedis, type TestRedis } from '@aduana/testkit/redis'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { retryRun } from '../runs/manual.ts'
import { type Flow, openFlow, sumOf } from '../testing/flow.ts'
import { requestTopic, topicMessage } from './request-topic.ts'
import { runnerQueue } from './runner-queue.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

function eventOf(change: Partial<MetricRunRequest> = {}): OutboundEvent {
  const data: MetricRunRequest = MetricRunRequest.parse({
    runId: randomUUID(),
    attempt: 1,
    metric: 'pieces',
    version: 1,
    runner: 'external',
    asOf: '2026-03-10',
    days: [{ from: '2026-03-09', to: '2026-03-10' }],
    inputs: [input('orders'), input('production'), input('production')],
    catalogue: [{ series: 'a.b', dataset: 'production', table: 'public.a', column: null, dayColumn: 'day' }],
    grain: 'total',
    expression: { type: 'aggregate', op: 'count', series: 'a.b' },
    heartbeatSeconds: 60,
    ...change,
  })
  const key = `${data.runId}:1:requested`
  const type = 'aduana.metric_run.requested'
  const body: CloudEvent = { specversion: '1.0', id: key, source: '/aduana', type, data }
  return { id: '1', key, type, body }
}
const input = (dataset: string) => ({
  dataset,
  updateId: randomUUID(),
  eventKey: `key of ${dataset}`,
  occurredAt: '2026-03-10T12:00:00Z',
  days: [],
})

describe('the message of a request', () => {
  test('is its logged event, with the attributes for subscription filters', () => {
    const event = eventOf()
    expect(topicMessage(event)).toEqual({
      id: '1',
      body: JSON.stringify(event.body),
      attributes: {
        type: 'aduana.metric_run.requested',
        metric: 'pieces',
        runner: 'external',
        grain: 'total',
        datasets: ['orders', 'production'],
      },
      group: 'pieces',
      deduplicationId: event.key,
    })
  })

  test('of a metric without datasets names none', () => {
    expect(topicMessage(eventOf({ inputs: [], catalogue: [] })).attributes).not.toHaveProperty('datasets')
  })

  test('that is too large with its attributes contains the address of the data instead', () => {
    const ofBytes = (bytes: number) => {
      const event = eventOf({ inputs: [input('orders')] })
      const { attributes } = topicMessage(event)
      const rest = bytes - Buffer.byteLength(JSON.stringify(event.body) + JSON.stringify(attributes))
      const data = MetricRunRequest.parse(event.body.data)
      const [first] = data.inputs
      if (!first) throw new Error('there is an input')
      first.eventKey += 'x'.repeat(rest)
      return { ...event, body: { ...event.body, data } }
    }
    expect(topicMessage(ofBytes(240 * 1024)).body).toContain('"data":')
    const large = ofBytes(240 * 1024 + 1)
    const { runId } = MetricRunRequest.parse(large.body.data)
    const { body, attributes } = topicMessage(large)
    expect(JSON.parse(body)).toEqual({
      specversion: '1.0',
      id: large.key,
      source: '/aduana',
      type: 'aduana.metric_run.requested',
      dataref: `/api/runs/${runId}/request`,
    })
    expect(attributes).toMatchObject({ metric: 'pieces', datasets: ['orders', 'production'] })
  })
})

describe('a request', () => {
  let emulator: TestS3
  let away: TestS3
  let messaging: TestMessaging
  let elsewhere: TestMessaging
  let redis: TestRedis
  let queue: MetricQueue
  let flow: Flow
  beforeAll(async () => {
    ;[emulator, away] = await Promise.all([createTestS3(), createTestS3()])
  })
  afterAll(() => Promise.all([emulator.stop(), away.stop()]))
  beforeEach(async () => {
    flow = await openFlow()
    messaging = await createTestMessaging(emulator)
    elsewhere = await createTestMessaging(away)
    redis = createTestRedis()
    queue = createMetricQueue({ redisUrl: redis.url, prefix: redis.prefix, logger })
  })
  afterEach(async () => {
    await queue.close()
    await redis.close()
    for (const one of [messaging, elsewhere]) one.close()
    await flow.drop()
  })
  const run = (...destinations: Destination[]) => deliver({ db: flow.db, destinations, logger })
  const rows = async () =>
    (
      await flow.pool.query(
        `select event_key, sent_at is not null as sent, send_attempts, send_error from event_log where outbound order by id`,
      )
    ).rows
  const dueAgain = () => flow.pool.query('update event_log set send_after = now() where sent_at is null')
  const ask = async () => {
    await flow.save({
      inside: ['production'],
      outside: { expression: sumOf(['production']), runner: 'external' },
    })
    await flow.update('production')
  }

  test('that one topic refuses is sent again to all, until all have accepted it', async () => {
    await ask()
    const standard = await messaging.subscribe(messaging.topicArn)
    const fifo = await elsewhere.subscribe(elsewhere.fifoTopicArn)
    const destinations = [
      runnerQueue(queue),
      requestTopic(snsTopic(messaging.sns, messaging.topicArn)),
      requestTopic(snsTopic(elsewhere.sns, elsewhere.fifoTopicArn)),
    ]
    away.setUnavailable(true)
    expect(await run(...destinations)).toEqual({ sent: 0, failed: 2 })
    for (const row of await rows())
      expect(row).toMatchObject({
        sent: false,
        send_attempts: 1,
        send_error: expect.stringContaining(`${elsewhere.fifoTopicArn}: `),
      })
    away.setUnavailable(false)
    await dueAgain()
    expect(await run(...destinations)).toEqual({ sent: 2, failed: 0 })
    await dueAgain()
    expect(await run(...destinations)).toEqual({ sent: 0, failed: 0 })
    const heard = (messages: { Body?: string | undefined }[]) =>
      messages
        .map(({ Body = '' }) => MetricRunRequest.parse(CloudEvent.parse(JSON.parse(Body)).data).metric)
        .sort()
    expect(heard(await messaging.receive(standard, 4))).toEqual(['inside', 'inside', 'outside', 'outside'])
    expect(heard(await elsewhere.receive(fifo, 2))).toEqual(['inside', 'outside'])
    expect(await elsewhere.size(fifo)).toBe(0)
  })

  test('is logged in full for an external runner, without its data for the built-in one; topics get both in full', async () => {
    await ask()
    const { id: inside } = await flow.open('inside')
    const { id: outside } = await flow.open('outside')
    const wholeOf = [await flow.request(inside), await flow.request(outside)]
    const logged = await flow.pool.query(
      `select body -> 'data' as data from event_log where outbound order by id`,
    )
    expect(logged.rows.map(({ data }) => data)).toEqual([
      { runId: inside, attempt: 1, metric: 'inside', runner: 'builtin' },
      wholeOf[1],
    ])
    const standard = await messaging.subscribe(messaging.topicArn)
    await run(runnerQueue(queue), requestTopic(snsTopic(messaging.sns, messaging.topicArn)))
    const heard = (await messaging.receive(standard, 2)).map(
      ({ Body = '' }) => CloudEvent.parse(JSON.parse(Body)).data,
    )
    expect(heard).toEqual(expect.arrayContaining(wholeOf))
  })

  test('that is superseded before a topic accepts it is published with its own attempt', async () => {
    await flow.save({ inside: ['production'] })
    await flow.update('production')
    const { id } = await flow.open('inside')
    await flow.begin(id)
    await flow.finish(id, { status: 'failed', error: { code: 'broken', detail: 'x' } })
    await flow.inTx((tx) => retryRun(tx, id, null))
    const standard = await messaging.subscribe(messaging.topicArn)
    expect(await run(requestTopic(snsTopic(messaging.sns, messaging.topicArn)))).toEqual({
      sent: 2,
      failed: 0,
    })
    const attempts = (await messaging.receive(standard, 2)).map(
      ({ Body = '' }) => MetricRunRequest.parse(CloudEvent.parse(JSON.parse(Body)).data).attempt,
    )
    expect(attempts.sort()).toEqual([1, 2])
  })

  test('for an external runner without a destination stays in the outbox with an error', async () => {
    await ask()
    expect(await run(runnerQueue(queue))).toEqual({ sent: 1, failed: 1 })
    const outside = await flow.open('outside')
    expect(await rows()).toContainEqual({
      event_key: `${outside.id}:1:requested`,
      sent: false,
      send_attempts: 1,
      send_error: 'no destination accepts the event: set ADUANA_SNS_TOPIC_ARN for every worker',
    })
    await dueAgain()
    const standard = await messaging.subscribe(messaging.topicArn)
    expect(await run(runnerQueue(queue), requestTopic(snsTopic(messaging.sns, messaging.topicArn)))).toEqual({
      sent: 1,
      failed: 0,
    })
    await messaging.receive(standard, 1)
  })
})
