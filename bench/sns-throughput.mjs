// Measures how many requests of runs the outbox publishes to SNS in a second, beside what the same emulator takes from a
// loop that does nothing but publish equal messages in batches of ten, as many at once. In turns, so that both see the
// same machine.
//
//   node bench/sns-throughput.mjs [rounds=5] [topic=standard|fifo]
//
// Needs a built tree (npm run build).
import { snsTopic } from '../packages/messaging/dist/sns-topic.js'
import { messageOf, requestTopic } from '../packages/metrics/dist/requests/request-topic.js'
import { startOutbox } from '../packages/outbox/dist/outbox.js'
import { createLogger } from '../packages/runtime/dist/logger.js'
import { until } from '../packages/testkit/dist/until.js'
import { PublishBatchCommand, sendInBatches, startMessaging } from './emulator.mjs'
import { givenNumbers, median, timed } from './figures.mjs'
import { onServices } from './services.mjs'

const [ROUNDS = 5] = givenNumbers()
const FIFO = process.argv.includes('fifo')
const COUNTS = [1000, 5000]
const AT_ONCE = 8
const logger = createLogger({ name: 'bench', level: 'silent', pretty: false })
let prefix = 0

await onServices(async ({ own, addDatabase }) => {
  const { db, pool, url } = await addDatabase()
  const { messaging } = await startMessaging(own)
  const { sns, topicArn, fifoTopicArn } = messaging
  const place = { db, pool, url, sns, arn: FIFO ? fifoTopicArn : topicArn }
  await floor(place, 1000)
  await product(place, 1000)
  for (const count of COUNTS) {
    const [ours, theirs, ratios] = [[], [], []]
    for (let round = 0; round < ROUNDS; round += 1) {
      const [a, b] = [await floor(place, count), await product(place, count)]
      theirs.push((count / a) * 1000)
      ours.push((count / b) * 1000)
      ratios.push(a / b)
    }
    console.log(
      `${count} requests, ${FIFO ? 'FIFO' : 'standard'} topic: outbox ${Math.round(median(ours))}/s, loop ${Math.round(median(theirs))}/s, ratio ${median(ratios).toFixed(2)} (${ratios.map((ratio) => ratio.toFixed(2)).join(' ')})`,
    )
  }
})

/** Requests as they stand in the log: of 200 metrics, each some 1.3 KB. */
async function addRequests(pool, count) {
  prefix += 1
  await pool.query(
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

/** Milliseconds until the outbox has published all that is there. */
async function product({ db, pool, url, sns, arn }, count) {
  await addRequests(pool, count)
  const destinations = [requestTopic(snsTopic(sns, arn))]
  const outbox = startOutbox({ db, databaseUrl: url, destinations, logger })
  const unsent = 'select from event_log where outbound and sent_at is null limit 1'
  const allSent = async () => (await pool.query(unsent)).rowCount === 0
  try {
    return await timed(() => until(allSent, { within: 300_000, what: 'everything has left' }))
  } finally {
    await outbox.stop()
  }
}

/** Milliseconds that the emulator takes for the same messages from a loop. */
async function floor({ pool, sns, arn }, count) {
  await addRequests(pool, count)
  const { rows } = await pool.query(
    'select id, event_key, type, body from event_log where sent_at is null order by id',
  )
  await pool.query('update event_log set sent_at = now() where sent_at is null')
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
  return timed(() =>
    sendInBatches(entries, AT_ONCE, (batch) =>
      sns.send(new PublishBatchCommand({ TopicArn: arn, PublishBatchRequestEntries: batch })),
    ),
  )
}
