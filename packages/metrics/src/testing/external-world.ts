import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { MetricRunCompleted, type MetricRunRequest } from '@aduana/contracts/metrics/events'
import { snsTopic } from '@aduana/messaging/sns-topic'
import { createTestMessaging } from '@aduana/testkit/messaging'
import { TEST_CREDENTIALS as credentials, TEST_REGION as region, type TestS3 } from '@aduana/testkit/s3'
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { METRIC_MESSAGES } from '../events/json-schemas.ts'
import { requestTopic } from '../requests/request-topic.ts'

const PROGRAM = fileURLToPath(
  new URL('../../../../examples/outside-runner/outside-runner.mjs', import.meta.url),
)

/** An event that the runner sent, in its published form. */
interface Heard {
  type: string
  data: unknown
}

/**
 * The environment of an external runner: a topic, its queue with a subscription, the queue of Aduana, and a bucket.
 */
export interface ExternalWorld {
  /** Starts the example. */
  start(environment: Record<string, string>): void
  /** Publishes requests as Aduana does. */
  publish(...requests: MetricRunRequest[]): Promise<void>
  /** The messages of the runner until there are a number of a type; by default until it completes a run. */
  heard(type?: string, count?: number): Promise<Heard[]>
  /** Returns the text of an object, after checking its announced checksum. */
  read(announced: { url: string; sha256: string }): Promise<string>
  /** Returns the number of requests in the queue. */
  waiting(): Promise<number>
  close(): Promise<void>
}

/** Creates the environment on an emulator. */
export async function openExternalWorld(emulator: TestS3): Promise<ExternalWorld> {
  const { endpoint } = emulator
  const messaging = await createTestMessaging(emulator)
  const s3 = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  const topic = requestTopic(snsTopic(messaging.sns, messaging.topicArn))
  const requests = await messaging.subscribe(messaging.topicArn, {
    filter: { runner: ['external'] },
    raw: false,
  })
  const bucket = await emulator.addBucket()
  let runner: ReturnType<typeof spawn> | undefined
  return {
    start: (environment) => {
      runner = spawn(process.execPath, [PROGRAM], {
        env: {
          PATH: process.env.PATH,
          AWS_REGION: region,
          AWS_ENDPOINT_URL: endpoint,
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
          S3_PATH_STYLE: 'true',
          REQUESTS_QUEUE_URL: requests,
          ADUANA_QUEUE_URL: messaging.queueUrl,
          RESULTS_URL: `s3://${bucket}/results`,
          ...environment,
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
    },
    publish: async (...published) => {
      const refused = await topic.send(published.map(eventOf), AbortSignal.timeout(10_000))
      for (const error of refused.values()) throw error
    },
    heard: async (wanted = 'aduana.metric_run.completed', count = 1) => {
      const heard: Heard[] = []
      while (heard.filter(({ type }) => type === wanted).length < count)
        heard.push(
          ...(await messaging.receive(messaging.queueUrl, 1)).map(({ Body = '' }) => readEvent(Body)),
        )
      return heard
    },
    read: async ({ url, sha256 }) => {
      const [, Bucket, Key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(url) ?? []
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
      const bytes = Buffer.from((await Body?.transformToByteArray()) ?? [])
      const found = createHash('sha256').update(bytes).digest('hex')
      if (found !== sha256) throw new Error(`${url} has the SHA-256 ${found} in place of ${sha256}`)
      return bytes.toString()
    },
    waiting: () => messaging.size(requests),
    close: async () => {
      if (runner?.exitCode === null && runner.signalCode === null) {
        runner.kill('SIGTERM')
        await once(runner, 'exit')
      }
      s3.destroy()
      messaging.close()
    },
  }
}

/** Returns the last `completed` event. */
export function completionOf(heard: readonly Heard[]): MetricRunCompleted {
  return MetricRunCompleted.parse(heard.at(-1)?.data)
}

function readEvent(body: string): Heard {
  const event: unknown = JSON.parse(body)
  const message = METRIC_MESSAGES.find(({ type }) => type === Object(event).type)
  if (!message) throw new Error(`an event of no known type: ${body}`)
  return message.schema.parse(event)
}

function eventOf(data: MetricRunRequest, at: number) {
  const key = `${data.runId}:${data.attempt}:requested`
  const type = 'aduana.metric_run.requested'
  return {
    id: String(at),
    key,
    type,
    body: { specversion: '1.0', id: key, source: '/aduana', type, data } as const,
  }
}
