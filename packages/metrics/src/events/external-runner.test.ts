import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MetricRunCompleted, MetricRunRequest } from '@aduana/contracts/metrics/events'
import { ResultManifest } from '@aduana/contracts/metrics/manifest'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { completionOf, type ExternalWorld, openExternalWorld } from '../testing/external-world.ts'

let emulator: TestS3
beforeAll(async () => {
  emulator = await createTestS3()
})
afterAll(() => emulator.stop())

let world: ExternalWorld
let folder: string
beforeEach(async () => {
  world = await openExternalWorld(emulator)
  folder = await mkdtemp(join(tmpdir(), 'outside-runner-'))
})
afterEach(async () => {
  await world.close()
  await rm(folder, { recursive: true })
})

const HEADER = 'metric,date,company,warehouse,value\n'

/** Starts the example with these readings. */
async function start(readings: string, environment: Record<string, string> = {}): Promise<void> {
  const path = join(folder, 'readings.csv')
  await writeFile(path, `date,company,warehouse,value\n${readings}`)
  world.start({ READINGS_FILE: path, ...environment })
}

function requestOf(more: Partial<MetricRunRequest> = {}): MetricRunRequest {
  return {
    runId: randomUUID(),
    attempt: 1,
    metric: 'plant.energy',
    version: 1,
    runner: 'external',
    asOf: '2026-03-10',
    days: [{ from: '2026-03-09', to: '2026-03-11' }],
    inputs: [],
    catalogue: [],
    grain: 'warehouse',
    expression: { type: 'aggregate', op: 'count', series: 'orders.rows' },
    heartbeatSeconds: 60,
    ...more,
  }
}

/** The manifest that was announced, and the texts of its files. */
async function resultsOf(completed: MetricRunCompleted) {
  if (completed.status !== 'succeeded' || !completed.manifest) throw new Error(JSON.stringify(completed))
  const manifest = ResultManifest.parse(JSON.parse(await world.read(completed.manifest)))
  return { manifest, texts: await Promise.all(manifest.files.map(world.read)) }
}

describe('the example of an external runner', () => {
  test('starts a run, stores its values and a manifest, and announces both', async () => {
    await start(
      '2026-03-09,Andina,Bogotá,0.1\n2026-03-09,Andina,Bogotá,0.2\n2026-03-10,Litoral,Cali,7\n2026-03-11,Andina,Cali,9\n',
    )
    const request = requestOf({ companies: ['Andina'] })
    await world.publish(requestOf({ runner: 'builtin' }), request)
    const heard = await world.heard()
    expect(heard.map(({ type }) => type)).toEqual([
      'aduana.metric_run.started',
      'aduana.metric_run.completed',
    ])
    const completed = completionOf(heard)
    expect(completed).toMatchObject({ attempt: 1, status: 'succeeded', rowCount: 1, days: request.days })
    const { manifest, texts } = await resultsOf(completed)
    const { runId, attempt, metric } = request
    expect(manifest).toMatchObject({ runId, attempt, metric, rowCount: 1 })
    const text = `${HEADER}plant.energy,2026-03-09,Andina,Bogotá,0.300\n`
    expect(texts).toEqual([text])
    expect(manifest.files).toMatchObject([{ bytes: Buffer.byteLength(text), rows: 1 }])
    await until(async () => (await world.waiting()) === 0, { what: 'the request is taken away' })
  })

  test('sends heartbeats while it computes', async () => {
    // Reading a pipe blocks until something is written to it.
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    world.start({ READINGS_FILE: pipe })
    const request = requestOf({ heartbeatSeconds: 1 })
    await world.publish(request)
    await world.heard('aduana.metric_run.heartbeat', 2)
    await writeFile(pipe, 'date,company,warehouse,value\n2026-03-09,Andina,Cali,1\n')
    expect(completionOf(await world.heard())).toMatchObject({ status: 'succeeded', rowCount: 1 })
  })

  test('announces that a metric has no values on its days', async () => {
    await start('')
    const request = requestOf()
    await world.publish(request)
    const completed = completionOf(await world.heard())
    expect(completed).toMatchObject({ status: 'succeeded', rowCount: 0, days: request.days })
    const { manifest, texts } = await resultsOf(completed)
    expect(manifest.rowCount).toBe(0)
    expect(texts).toEqual([HEADER])
  })

  test('reports why a computation failed, and takes the next request', async () => {
    await start('2026-03-09,Andina,Cali,seven\n2026-03-10,Andina,Cali,8\n')
    const [bad, good] = [requestOf(), requestOf({ days: [{ from: '2026-03-10', to: '2026-03-11' }] })]
    await world.publish(bad)
    expect(completionOf(await world.heard())).toMatchObject({
      status: 'failed',
      error: { code: 'computation_failed', detail: expect.stringContaining('line 2') },
    })
    await world.publish(good)
    expect(completionOf(await world.heard())).toMatchObject({ status: 'succeeded', rowCount: 1 })
  })

  test('fetches a request that is too large for a message', async () => {
    const request = requestOf({
      grain: 'total',
      companies: Array.from({ length: 10_000 }, (_, at) => `Company number ${at} of many`),
    })
    const asked: unknown[] = []
    const api = createServer((incoming, reply) => {
      asked.push([incoming.url, incoming.headers.authorization])
      reply.setHeader('content-type', 'application/json').end(JSON.stringify(request))
    })
    api.listen(0, '127.0.0.1')
    await once(api, 'listening')
    try {
      const address = api.address()
      if (address === null || typeof address === 'string') throw new Error('the server has no port')
      await start('2026-03-09,Andina,Cali,1\n2026-03-09,Litoral,Cartagena,2\n', {
        ADUANA_URL: `http://127.0.0.1:${address.port}`,
        ADUANA_TOKEN: 'a token',
      })
      await world.publish(request)
      const { texts } = await resultsOf(completionOf(await world.heard()))
      expect(asked).toEqual([[`/api/runs/${request.runId}/request`, 'Bearer a token']])
      expect(texts).toEqual([`${HEADER}plant.energy,2026-03-09,,,3.000\n`])
    } finally {
      api.close()
    }
  })
})
