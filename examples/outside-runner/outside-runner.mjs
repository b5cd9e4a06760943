// A runner of metrics outside Aduana: see docs/guides/metric-events.md. It takes requests from a queue of its own, which is
// subscribed to Aduana's topic, computes values (compute.mjs), lays them into S3 and tells Aduana where they are.
import { createHash, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { compute } from './compute.mjs'

const requestsQueue = setting('REQUESTS_QUEUE_URL')
const aduanaQueue = setting('ADUANA_QUEUE_URL')
const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(setting('RESULTS_URL')) ?? []
// The URLs of an emulator's queues often name a host that nobody knows.
const sqs = new SQSClient({ useQueueUrlAsEndpoint: process.env.AWS_ENDPOINT_URL === undefined })
const s3 = new S3Client({ forcePathStyle: process.env.S3_PATH_STYLE === 'true' })

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())

console.log('waiting for requests')
while (!stop.signal.aborted) {
  try {
    for (const message of await receive()) await take(message)
  } catch (error) {
    if (stop.signal.aborted) break
    // Nothing is lost: what was not deleted comes again.
    console.error(error)
    await new Promise((resolve) => setTimeout(resolve, 2000))
  }
}

async function receive() {
  const options = { MaxNumberOfMessages: 1, WaitTimeSeconds: 20, VisibilityTimeout: 60 }
  const poll = new ReceiveMessageCommand({ QueueUrl: requestsQueue, ...options })
  return (await sqs.send(poll, { abortSignal: stop.signal })).Messages ?? []
}

/** One request, from its beginning to its end. It may come twice: then it is computed twice, and the first answer counts. */
async function take({ Body, ReceiptHandle }) {
  const of = { QueueUrl: requestsQueue, ReceiptHandle }
  const body = JSON.parse(Body)
  const event = 'TopicArn' in body ? JSON.parse(body.Message) : body
  const request = event.data ?? (await fetchData(event.dataref))
  if (event.type === 'aduana.metric_run.requested' && request.runner === 'external') {
    await send('started', request, { runner: `outside-runner@${hostname()}` })
    const alive = async () => {
      await sqs.send(new ChangeMessageVisibilityCommand({ ...of, VisibilityTimeout: 60 }))
      await send('heartbeat', request)
    }
    const everyMs = Math.min(20, request.heartbeatSeconds / 3) * 1000
    const timer = setInterval(() => alive().catch(console.error), everyMs)
    const ending = await work(request).finally(() => clearInterval(timer))
    await send('completed', request, ending)
    console.log(`${request.metric}, run ${request.runId}: ${JSON.stringify(ending)}`)
  }
  await sqs.send(new DeleteMessageCommand(of))
}

/** Compute, and store what came out; how the run ends. */
async function work(request) {
  let answer
  try {
    answer = await compute(request)
  } catch (error) {
    return { status: 'failed', error: { code: 'computation_failed', detail: String(error).slice(0, 4000) } }
  }
  const { values, days } = answer
  const { runId, attempt, metric } = request
  const rows = values.map(({ date, company, warehouse, value }) => [metric, date, company, warehouse, value])
  const csv = [['metric', 'date', 'company', 'warehouse', 'value'], ...rows]
    .map((row) => `${row.map(quoted).join(',')}\n`)
    .join('')
  // A metric without values on these days has a file, too: of the header alone.
  const files = [{ ...(await store(request, 'values', 'csv', csv)), rows: rows.length }]
  const list = { runId, attempt, metric, rowCount: rows.length, files }
  const { url, sha256 } = await store(request, 'manifest', 'json', JSON.stringify(list))
  return { status: 'succeeded', rowCount: rows.length, days, manifest: { url, sha256 } }
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Store a file under a name that tells its content: a second computation never changes what the first has announced. */
async function store({ runId, attempt }, name, kind, text) {
  const bytes = Buffer.from(text)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const path = [prefix, runId, attempt, `${name}-${sha256.slice(0, 16)}.${kind}`]
  const Key = path.filter((part) => part !== '').join('/')
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: bytes }))
  return { url: `s3://${bucket}/${Key}`, sha256, bytes: bytes.length }
}

/** Tell Aduana something about a run. */
async function send(what, { runId, attempt }, facts = {}) {
  const [id, time] = [randomUUID(), new Date().toISOString()]
  const type = `aduana.metric_run.${what}`
  const data = { runId, attempt, at: time, ...facts }
  const event = { specversion: '1.0', id, source: '/outside-runner', type, time, data }
  const fifo = aduanaQueue.endsWith('.fifo') && { MessageGroupId: runId, MessageDeduplicationId: id }
  await sqs.send(
    new SendMessageCommand({ QueueUrl: aduanaQueue, MessageBody: JSON.stringify(event), ...fifo }),
  )
}

/** A request that is too large for a message is to be had at Aduana's API. */
async function fetchData(path) {
  const headers = { authorization: `Bearer ${setting('ADUANA_TOKEN')}` }
  const response = await fetch(new URL(path, setting('ADUANA_URL')), { headers })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response.json()
}

function setting(name) {
  const value = process.env[name]
  if (value) return value
  throw new Error(`${name} must be set: see docs/guides/metric-events.md`)
}
