// Measures how many requests of runs the outbox publishes to SNS in a second, beside what the same emulator takes from a
// loop that does nothing but publish equal messages in batches of ten, as many at once. In turns, so that both see the
// same machine.
//
//   node bench/sns-throughput.mjs [rounds=5] [topic=standard|fifo]
//
// Needs a built tree (npm run build).
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { snsTopic } from '../packages/messaging/dist/sns-topic.js'
import { startOutbox } from '../packages/metrics/dist/outbox/outbox.js'
import { messageOf, requestTopic } from '../packages/metrics/dist/outbox/request-topic.js'
import { createLogger } from '../packages/runtime/dist/logger.js'
import { createTestDatabase } from '../packages/testkit/dist/database.js'
import { createTestMessaging } from '../packages/testkit/dist/messaging.js'
import { until } from '../packages/testkit/dist/until.js'

const require = createRequire(new URL('../packages/messaging/package.json', import.meta.url))
const { PublishBatchCommand } = require('@aws-sdk/client-sns')

const [ROUNDS = 5] = process.argv.slice(2).map(Number).filter(Number.isInteger)
const FIFO = process.argv.includes('fifo')
const COUNTS = [1000, 5000]
const AT_ONCE = 8
const logger = createLogger({ name: 'bench', level: 'silent', pretty: false })

const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
process.env.TEST_DATABASE_URL = postgres.url
const database = await createTestDatabase()
const emulator = fork(new URL('emulator.mjs', import.meta.url))
const [{ endpoint }] = await once(emulator, 'message')
const messaging = await createTestMessaging({ endpoint })
const arn = FIFO ? messaging.fifoTopicArn : messaging.topicArn
const topic = snsTopic(messaging.sns, arn)

let prefix = 0
/** Requests as they stand in the log: of 200 metrics, each some 1.3 KB. */
async function addRequests(count) {
  prefix += 1
  await database.pool.query(
    `insert into event_log (event_key, type, outbound, body)
     select key, 'aduana.metric_run.requested', true, jsonb_build_object('specversion', '1.0', 'id', key, 'source', '/aduana',
       'type', 'aduana.metric_run.requested', 'time', now(), 'datacontenttype', 'application/json', 'data', jsonb_build_object(
         'runId', run, 'attempt', 1, 'metric', 'bench.m' || n % 200, 'version', 1, 'runner', 'external', 'asOf', '2026-03-10',
         'days', '[{"from":"2026-03-09","to":"2026-03-10"}]'::jsonb, 'inputs', inputs,
         'catalogue', '[{"series":"orders.rows","dataset":"orders","table":"public.order_detail","column":null,"dayColumn":"timestamp","timeZone":"America/Bogota"}]'::jsonb,
         'grain', 'total', 'expression', '{"type":"aggregate","op":"count","series":"orders.rows"}'::jsonb, 'heartbeatSeconds', 60))
     from (select n, gen_random_uuid() as run, $2 || ':' || n || ':requested' as key,
         (select jsonb_agg(jsonb_build_object('dataset', 'orders', 'updateId', gen_random_uuid(), 'eventKey', 'bench', 'occurredAt', now(),
           'days', '[{"from":"2026-03-09","to":"2026-03-10"}]'::jsonb)) from generate_series(1, 3)) as inputs
       from generate_series(1, $1::int) n) r`,
    [count, `bench ${prefix}`],
  )
}

/** Seconds until the outbox has published all that is there. */
async function product(count) {
  await addRequests(count)
  const began = performance.now()
  const outbox = startOutbox({
    db: database.db,
    databaseUrl: database.url,
    destinations: [requestTopic(topic)],
    logger,
  })
  await until(
    async () =>
      (await database.pool.query('select from event_log where outbound and sent_at is null limit 1'))
        .rowCount === 0,
    { within: 300_000, what: 'everything has left' },
  )
  const seconds = (performance.now() - began) / 1000
  await outbox.stop()
  return seconds
}

/** Seconds that the emulator takes for the same messages from a loop. */
async function floor(count) {
  await addRequests(count)
  const { rows } = await database.pool.query(
    'select id, event_key, type, body from event_log where sent_at is null order by id',
  )
  await database.pool.query('update event_log set sent_at = now() where sent_at is null')
  const entries = rows.map(({ id, event_key: key, type, body }, at) => {
    const message = messageOf({ id, key, type, body })
    return {
      Id: String(at % 10),
      Message: message.body,
      MessageAttributes: Object.fromEntries(
        Object.entries(message.attributes).map(([name, value]) => [
          name,
          typeof value === 'string'
            ? { DataType: 'String', StringValue: value }
            : { DataType: 'String.Array', StringValue: JSON.stringify(value) },
        ]),
      ),
      ...(FIFO ? { MessageGroupId: message.group, MessageDeduplicationId: message.deduplicationId } : {}),
    }
  })
  const batches = []
  while (entries.length > 0) batches.push(entries.splice(0, 10))
  const began = performance.now()
  const loop = async () => {
    for (let batch = batches.shift(); batch; batch = batches.shift())
      await messaging.sns.send(new PublishBatchCommand({ TopicArn: arn, PublishBatchRequestEntries: batch }))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, loop))
  return (performance.now() - began) / 1000
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
try {
  await floor(1000)
  await product(1000)
  for (const count of COUNTS) {
    const [ours, theirs, ratios] = [[], [], []]
    for (let round = 0; round < ROUNDS; round += 1) {
      const [a, b] = [await floor(count), await product(count)]
      theirs.push(count / a)
      ours.push(count / b)
      ratios.push(a / b)
    }
    console.log(
      `${count} requests, ${FIFO ? 'FIFO' : 'standard'} topic: outbox ${Math.round(median(ours))}/s, loop ${Math.round(median(theirs))}/s, ratio ${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`,
    )
  }
} finally {
  messaging.close()
  emulator.disconnect()
  await database.drop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
