import { createHash } from 'node:crypto'
import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { CloudEvent, MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { ManifestPointer, ResultManifest } from '@aduana/contracts/metrics/manifest'
import { inTransaction } from '@aduana/db/database'
import { saveMetrics } from '@aduana/metrics/registry/metrics'
import { createTestMessaging, type TestMessaging } from './messaging.ts'
import type { TestS3 } from './s3.ts'
import { createTestSystem, type TestSystem } from './system.ts'

/** A result of a metric: day, value, company, warehouse. */
export type Result = readonly [date: string, value: string, company?: string, warehouse?: string]

/** How a runner announces its results. Omitted fields have correct values. */
export interface Announcing {
  /** The results, one file for each list. */
  files: readonly (readonly Result[])[]
  /** Encodes the text of each file before it is stored; identity by default. */
  pack?: (text: Buffer) => Buffer
  days?: { from: string; to: string }[]
  /** Changes the manifest before it is written. */
  manifest?: (manifest: ResultManifest) => unknown
  /** Changes the reference to the manifest. */
  pointer?: (pointer: ManifestPointer) => ManifestPointer
  /** Changes the stored files after their checksums were computed. */
  damage?: (content: Buffer) => Buffer
  rowCount?: number
  header?: (index: number) => string
}

/** An external runner as a customer would write it: it uses only SNS, SQS and S3. */
export interface OutsideRunner {
  /** Returns the next request of a metric. */
  next(metric: string): Promise<MetricRunRequest>
  started(request: MetricRunRequest): Promise<void>
  heartbeat(request: MetricRunRequest, progress?: number): Promise<void>
  /** Reports success with values that the runner has written to the database. */
  done(request: MetricRunRequest, rowCount: number): Promise<void>
  failed(request: MetricRunRequest, detail: string): Promise<void>
  /** Writes values to files and announces them. Returns the message, which can be sent again. */
  announce(request: MetricRunRequest, announcing: Announcing): Promise<Record<string, unknown>>
  /** Writes values to files without announcing them. Returns the message to send. */
  write(request: MetricRunRequest, announcing: Announcing): Promise<Record<string, unknown>>
  /** Sends the message of `write` or `announce`. */
  again(completed: Record<string, unknown>): Promise<void>
}

/** An installation with topics and a queue, and an external runner that receives the requests to external runners. */
export interface OutsideSystem {
  system: TestSystem
  messaging: TestMessaging
  runner: OutsideRunner
  save(...metrics: MetricDefinitionInput[]): Promise<void>
  close(): Promise<void>
}

/** Returns a metric of `production` that an external runner computes. */
export const outsideMetric = (code: string): MetricDefinitionInput => ({
  code,
  title: { en: code, es: code },
  runner: 'external',
  expression: { type: 'aggregate', op: 'sum', series: 'production.quantity' },
})

/** Returns a metric that Aduana computes from another: twice its values. */
export const twiceMetric = (metric: string): MetricDefinitionInput => ({
  code: `${metric}_twice`,
  title: { en: metric, es: metric },
  expression: {
    type: 'arithmetic',
    op: 'multiply',
    of: [
      { type: 'metric', metric },
      { type: 'constant', value: 2 },
    ],
  },
})

/** Creates an installation with an external runner on an emulator. */
export async function createOutsideSystem(
  s3: TestS3,
  settings: Record<string, string> = {},
): Promise<OutsideSystem> {
  const messaging = await createTestMessaging(s3)
  const system = await createTestSystem({
    metrics: true,
    settings: { ...s3.environment(), ...messaging.environment, ...settings },
  })
  return {
    system,
    messaging,
    runner: await createRunner(s3, messaging),
    save: async (...metrics) => {
      await inTransaction(system.database.db, (tx) => saveMetrics(tx, metrics, null))
    },
    close: async () => {
      await system.close()
      messaging.close()
    },
  }
}

async function createRunner(s3: TestS3, messaging: TestMessaging): Promise<OutsideRunner> {
  const bucket = await s3.addBucket()
  const requests = await messaging.subscribe(messaging.topicArn, { filter: { runner: ['external'] } })
  const received: MetricRunRequest[] = []
  const of = ({ runId, attempt }: MetricRunRequest) => ({ runId, attempt, at: new Date().toISOString() })
  const completed = (data: unknown) => messaging.sendEvent('aduana.metric_run.completed', data)
  const write: OutsideRunner['write'] = async (request, announcing) => {
    const rows = announcing.files.flat().length
    return {
      ...of(request),
      status: 'succeeded',
      rowCount: announcing.rowCount ?? rows,
      days: announcing.days ?? request.days,
      manifest: await writeResults(s3, bucket, request, announcing),
    }
  }
  return {
    next: async (metric) => {
      for (;;) {
        const at = received.findIndex((request) => request.metric === metric)
        const [found] = at < 0 ? [] : received.splice(at, 1)
        if (found) return found
        for (const { Body = '' } of await messaging.receive(requests, 1))
          received.push(MetricRunRequest.parse(CloudEvent.parse(JSON.parse(Body)).data))
      }
    },
    started: (request) =>
      messaging.sendEvent('aduana.metric_run.started', { ...of(request), runner: 'outside' }),
    heartbeat: (request, progress) =>
      messaging.sendEvent('aduana.metric_run.heartbeat', {
        ...of(request),
        ...(progress === undefined ? {} : { progress }),
      }),
    done: (request, rowCount) =>
      completed({ ...of(request), status: 'succeeded', rowCount, days: request.days }),
    failed: (request, detail) =>
      completed({ ...of(request), status: 'failed', error: { code: 'no_luck', detail } }),
    announce: async (request, announcing) => {
      const data = await write(request, announcing)
      await completed(data)
      return data
    },
    write,
    again: completed,
  }
}

async function writeResults(
  s3: TestS3,
  bucket: string,
  { runId, attempt, metric }: MetricRunRequest,
  announcing: Announcing,
): Promise<ManifestPointer> {
  const folder = `results/${runId}/${attempt}`
  const files: ResultManifest['files'] = []
  for (const [index, results] of announcing.files.entries()) {
    const header = announcing.header?.(index) ?? 'metric,date,company,warehouse,value'
    const lines = results.map(([date, value, company = '', warehouse = '']) =>
      [metric, date, company, warehouse, value].join(','),
    )
    const text = Buffer.from([header, ...lines].join('\n'))
    const content = announcing.pack?.(text) ?? text
    const url = await s3.put(bucket, `${folder}/part-${index}.csv`, announcing.damage?.(content) ?? content)
    files.push({ url, sha256: sha256(content), bytes: content.length, rows: results.length })
  }
  const rowCount = announcing.files.flat().length
  const manifest: ResultManifest = { runId, attempt, metric, rowCount, files }
  const text = JSON.stringify(announcing.manifest?.(manifest) ?? manifest)
  const url = await s3.put(bucket, `${folder}/manifest.json`, text)
  const pointer = { url, sha256: sha256(text) }
  return announcing.pointer?.(pointer) ?? pointer
}

function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
