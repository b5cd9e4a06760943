import { randomUUID } from 'node:crypto'
import { deregisterWorker, recordWorkerHeartbeat } from '@aduana/jobs/workers/worker-registry'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildApp } from '../app.ts'
import { importForm, productionFile } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

const ALL = ['parse', 'validate', 'quarantine', 'load', 'fan-out'] as const

let api: TestApi
let operator: TestUser
beforeAll(async () => {
  api = await startApi()
  operator = await api.addUser('operator')
})
afterAll(() => api.close())
beforeEach(async () => {
  await api.db.deleteFrom('workers').execute()
})

/** What an API that has just been asked for nothing says: answers are remembered for a second. */
async function health(change: Partial<TestApi['context']> = {}) {
  const app = await buildApp({ ...api.context, ...change })
  try {
    const ready = await app.inject('/health/ready')
    return { code: ready.statusCode, ...ready.json() }
  } finally {
    await app.close()
  }
}
const gone = () => Promise.reject(new Error('gone'))

describe('the API', () => {
  test.each([
    ['the schema is another one', 'schema', { checkSchema: gone }],
    ['the store cannot be written', 'artifacts', () => ({ store: { ...api.context.store, put: gone } })],
  ] as const)('is not ready when %s', async (_, name, change) => {
    expect(await health(typeof change === 'function' ? change() : change)).toMatchObject({
      code: 503,
      status: 'unavailable',
      checks: { [name]: { ok: false, needed: true } },
    })
  })

  test('is not ready without PostgreSQL, and responds without hanging', async () => {
    const away = await startApi()
    await away.context.db.destroy()
    const response = await fetch(`${away.url}/health/ready`)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      status: 'unavailable',
      checks: { postgresql: { ok: false }, schema: { ok: false } },
      warnings: [],
    })
    await away.close()
  })

  test('is ready without Redis, and reports that jobs wait', async () => {
    expect(await health({ checkRedis: gone, observeQueues: gone })).toMatchObject({
      code: 200,
      status: 'degraded',
      checks: { redis: { ok: false, needed: false } },
    })
  })

  test('names the stages without a worker', async () => {
    await recordWorkerHeartbeat(api.db, 'w1', ['parse', 'load'])
    const { status, warnings } = await health()
    expect(status).toBe('ok')
    expect(warnings).toEqual(
      ['validate', 'quarantine', 'fan-out'].map((stage) => ({
        code: 'no_consumer',
        stage,
        waiting: 0,
        since: null,
      })),
    )
  })

  test('reports how many jobs wait without a worker and since when, until a worker starts', async () => {
    const sent = await operator.ask('/api/imports', { method: 'POST', body: importForm(productionFile()) })
    const { id } = Object(await sent.json())
    const job = await api.db.selectFrom('jobs').select('created_at').where('id', '=', id).executeTakeFirst()
    const alone = await health()
    expect(alone).toMatchObject({ code: 200, status: 'degraded' })
    expect(alone.warnings[0]).toEqual({
      code: 'no_consumer',
      stage: 'parse',
      waiting: 1,
      since: job?.created_at.toISOString(),
    })
    const name = randomUUID()
    await recordWorkerHeartbeat(api.db, name, ALL)
    expect(await health()).toMatchObject({ status: 'ok', warnings: [] })
    await deregisterWorker(api.db, name)
    expect((await health()).status).toBe('degraded')
    await api.db.updateTable('jobs').set({ status: 'CANCELLED', completed_at: new Date() }).execute()
  })

  test('does not count a worker without a heartbeat for half a minute', async () => {
    await recordWorkerHeartbeat(api.db, 'w1', ALL)
    await api.db
      .updateTable('workers')
      .set({ seen_at: new Date(Date.now() - 31_000) })
      .execute()
    expect((await health()).warnings).toHaveLength(5)
  })

  test('reports a paused queue', async () => {
    await recordWorkerHeartbeat(api.db, 'w1', ALL)
    const admin = await api.addUser('admin')
    const set = (what: string) => admin.ask(`/admin/queues/api/queues/4-load/${what}`, { method: 'PUT' })
    expect((await set('pause')).status).toBe(200)
    expect((await health()).warnings).toEqual([
      { code: 'queue_paused', stage: 'load', waiting: 0, since: null },
    ])
    expect((await set('resume')).status).toBe(200)
    expect((await health()).warnings).toEqual([])
  })

  test('exports waiting jobs and workers to Prometheus', async () => {
    await recordWorkerHeartbeat(api.db, 'w1', ['parse', 'load'])
    await recordWorkerHeartbeat(api.db, 'w2', ['load'])
    const text = await (await fetch(`${api.url}/metrics`)).text()
    expect(text).toMatch(/^aduana_queue_waiting\{stage="parse"\} 0$/m)
    expect(text).toMatch(/^aduana_queue_consumers\{stage="parse"\} 1$/m)
    expect(text).toMatch(/^aduana_queue_consumers\{stage="load"\} 2$/m)
    expect(text).toMatch(/^aduana_queue_consumers\{stage="fan-out"\} 0$/m)
    expect(text).toMatch(/^aduana_queue_oldest_waiting_seconds\{stage="parse"\} 0$/m)
  })
})
