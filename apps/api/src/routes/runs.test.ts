import { randomUUID } from 'node:crypto'
import { page } from '@aduana/contracts/jobs'
import { CloudEvent, MetricRunRequest } from '@aduana/contracts/metrics/events'
import { MetricRun, MetricRunDetail } from '@aduana/contracts/metrics/http-runs'
import { Problem } from '@aduana/contracts/problems'
import { RequestNote } from '@aduana/metrics/requests/payload'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { beginRun, endRun, limitTo, tell } from '../testing/metrics.ts'
import { importForm, productionFile } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let steward: TestUser
let viewer: TestUser
let day = 0

beforeAll(async () => {
  api = await startApi()
  steward = await api.addUser('steward')
  viewer = await api.addUser('viewer')
})
afterAll(() => api.close())
beforeEach(() => {
  day += 1
})

/** Ranges of one day, another one in each test. */
const someDay = () => {
  const date = (at: number) => new Date(Date.UTC(2026, 0, at)).toISOString().slice(0, 10)
  return [{ from: date(day), to: date(day + 1) }]
}
const list = async (query: string, as = viewer) =>
  page(MetricRun).parse(await (await as.ask(`/api/runs?${query}`)).json())
const read = async (id: string, as = viewer) =>
  MetricRunDetail.parse(await (await as.ask(`/api/runs/${id}`)).json())
const act = (id: string, what: 'retry' | 'cancel', as = steward) =>
  as.ask(`/api/runs/${id}/${what}`, { method: 'POST' })
const problem = async (answer: Response) => Problem.parse(await answer.json())

/** The open run of a metric after an update of its dataset. */
async function openRun(metric: string, update: Record<string, unknown> = {}): Promise<MetricRun> {
  const [dataset = ''] = metric.split('.')
  const told = await tell(steward, { eventKey: randomUUID(), dataset, days: someDay(), ...update })
  expect(told.status).toBe(202)
  const { items } = await list(`metric=${metric}&limit=1`)
  const [run] = items
  if (!run) throw new Error(`"${metric}" has no run`)
  return run
}

describe('the runs', () => {
  test('are listed newest first, by status and metric, page by page', async () => {
    const run = await openRun('production.lots')
    expect(run).toMatchObject({ status: 'REQUESTED', cause: 'update', days: someDay(), companies: null })
    expect((await list('metric=production.lots&status=REQUESTED')).items.map(({ id }) => id)).toEqual([
      run.id,
    ])
    expect((await list('metric=production.lots&status=FAILED')).items).toEqual([])
    const ids: string[] = []
    let query = 'limit=3'
    for (;;) {
      const { items, next } = await list(query)
      ids.push(...items.map(({ id }) => id))
      if (next === null) break
      query = `limit=3&cursor=${next}`
    }
    const { items } = await list('limit=500')
    expect(ids).toEqual(items.map(({ id }) => id))
    expect(new Set(ids).size).toBe(ids.length)
    const nonsense = Buffer.from(JSON.stringify(['soon', ids[0]])).toString('base64url')
    for (const wrong of ['status=NONE', `cursor=${nonsense}`])
      expect((await viewer.ask(`/api/runs?${wrong}`)).status).toBe(400)
  })

  test('of companies that the reader may not see are left out', async () => {
    const limited = await api.addUser('viewer')
    await limitTo(api, limited, ['A'])
    const ofB = await openRun('orders.items', { companies: ['B'] })
    expect((await list('metric=orders.items', limited)).items).toEqual([])
    expect((await limited.ask(`/api/runs/${ofB.id}`)).status).toBe(404)
    const ofBoth = await openRun('orders.items', { companies: ['A', 'B'] })
    expect(ofBoth).toMatchObject({ id: ofB.id, companies: ['A', 'B'] })
    expect(await read(ofBoth.id, limited)).toMatchObject({
      ...{ companies: ['A'], days: null },
      inputs: [{ days: null, rows: null }],
    })
  })
})

describe('a run', () => {
  test('names the updates that it is computed from, with those jobs that the reader may see', async () => {
    const form = importForm(productionFile(), { dataset: 'production', force: 'true' })
    const { id: jobId } = Object(
      await (await steward.ask('/api/imports', { method: 'POST', body: form })).json(),
    )
    const eventKey = randomUUID()
    const { id } = await openRun('production.weight', { eventKey })
    await api.db
      .updateTable('dataset_updates')
      .set({ job_id: jobId })
      .where('event_key', '=', eventKey)
      .execute()
    const { inputs } = await read(id, steward)
    const input = inputs.find((one) => one.eventKey === eventKey)
    expect(input).toMatchObject({ dataset: 'production', days: someDay(), rows: 1, forNext: false })
    expect(input?.job).toEqual({ id: jobId, file: expect.any(String) })
    expect((await read(id)).inputs.find((one) => one.eventKey === eventKey)?.job).toBeNull()
  })

  test('that failed shows the reason and can be retried by a steward; others cannot', async () => {
    const { id } = await openRun('production.records')
    expect(await problem(await act(id, 'retry'))).toMatchObject({
      status: 409,
      code: 'illegal_run_transition',
    })
    await beginRun(api.db, id)
    expect(await read(id)).toMatchObject({ status: 'RUNNING', runner: 'test' })
    await endRun(api.db, id, 'failed')
    expect(await read(id)).toMatchObject({ status: 'FAILED', error: { code: 'broken' } })
    const metric = Object(await (await viewer.ask('/api/metrics/production.records')).json())
    expect(metric.completeness).toMatchObject({
      complete: false,
      outstanding: [{ runId: id, status: 'FAILED', error: { code: 'broken' } }],
    })
    const failures = /^aduana_metric_runs_outstanding\{status="FAILED"\} (\d+)$/m
    expect(failures.exec(await (await fetch(`${api.url}/metrics`)).text())?.[1]).toBe('1')
    expect((await act(id, 'retry', viewer)).status).toBe(403)
    const again = MetricRunDetail.parse(await (await act(id, 'retry')).json())
    expect(again).toMatchObject({ id, status: 'REQUESTED', attempt: 2, error: null })
    await endRun(api.db, id, 'succeeded')
    const whole = Object(await (await viewer.ask('/api/metrics/production.records')).json())
    expect(whole.completeness).toEqual({ complete: true, outstanding: [], notPassedOn: [] })
    expect(whole.freshness.lastRun).toMatchObject({ id, status: 'SUCCEEDED' })
  })

  test('that is running shows the days that have changed since, to readers of their companies', async () => {
    const completeness = async (as: TestUser) =>
      Object(await (await as.ask('/api/metrics/orders.largest_order')).json()).completeness
    const ofB = await api.addUser('viewer')
    await limitTo(api, ofB, ['B'])
    const earlier = await openRun('orders.largest_order')
    await beginRun(api.db, earlier.id)
    await endRun(api.db, earlier.id, 'succeeded')
    const days = someDay()
    const { id } = await openRun('orders.largest_order', { companies: ['A'] })
    expect(await completeness(ofB)).toMatchObject({ complete: true })
    await beginRun(api.db, id)
    day += 1
    const since = someDay()
    await openRun('orders.largest_order', { companies: ['B'] })
    const outstanding = (all: typeof days) => ({ complete: false, outstanding: [{ runId: id, days: all }] })
    const [from, to] = [days[0]?.from ?? '', since[0]?.to ?? '']
    expect(await completeness(viewer)).toMatchObject(outstanding([{ from, to }]))
    expect(await completeness(ofB)).toMatchObject(outstanding(since))
    expect(await read(id)).toMatchObject({ days, nextDays: since, companies: ['A'] })

    // Whose days come next, may see when; nothing of what the run is about, nor may they decide on it.
    const seen = await read(id, ofB)
    expect(seen).toMatchObject({ status: 'RUNNING', days: [], nextDays: since, companies: [], results: null })
    expect(seen.inputs).toMatchObject([{ days: since, forNext: true }])
    expect((await list('metric=orders.largest_order&limit=1', ofB)).items).toMatchObject([{ id, days: [] }])
    expect((await ofB.ask(`/api/runs/${id}/request`)).status).toBe(404)
    const deciding = await api.addUser('steward')
    await limitTo(api, deciding, ['B'])
    for (const what of ['retry', 'cancel'] as const) expect((await act(id, what, deciding)).status).toBe(404)
    await endRun(api.db, id, 'failed')
    const [next] = (await list('metric=orders.largest_order&limit=1', ofB)).items
    expect(next).toMatchObject({ status: 'REQUESTED', days: since, nextDays: [], companies: ['B'] })
    expect((await ofB.ask(`/api/runs/${id}`)).status).toBe(404)
  })

  test('can be cancelled by a steward until it ends', async () => {
    const { id } = await openRun('production.operators_active')
    expect((await act(id, 'cancel', viewer)).status).toBe(403)
    expect(await (await act(id, 'cancel')).json()).toMatchObject({ id, status: 'CANCELLED' })
    expect((await problem(await act(id, 'cancel'))).code).toBe('illegal_run_transition')
  })

  test('that does not exist is not found', async () => {
    for (const what of ['retry', 'cancel'] as const)
      expect((await problem(await act(randomUUID(), what))).code).toBe('not_found')
    expect((await viewer.ask(`/api/runs/${randomUUID()}`)).status).toBe(404)
    expect((await viewer.ask('/api/runs/none')).status).toBe(400)
  })
})

describe('the request of a run', () => {
  const request = (id: string, as = viewer) => as.ask(`/api/runs/${id}/request`)
  /** A run that has taken in nothing of what other tests have told. */
  const freshRun = async (metric: string, companies: string[]) => {
    const { id } = await openRun(metric)
    await endRun(api.db, id, 'succeeded')
    return openRun(metric, { companies })
  }

  test('is shown to users who may see all of its companies', async () => {
    const limited = await api.addUser('viewer')
    await limitTo(api, limited, ['A'])
    const { id } = await freshRun('orders.orders', ['A'])
    const own = MetricRunRequest.parse(await (await request(id, limited)).json())
    expect(own).toMatchObject({ runId: id, attempt: 1, metric: 'orders.orders', companies: ['A'] })
    expect(await (await request(id)).json()).toEqual(own)
    const logged = await api.db
      .selectFrom('event_log')
      .select('body')
      .where('event_key', '=', `${id}:1:requested`)
      .executeTakeFirstOrThrow()
    expect(own).toMatchObject(RequestNote.parse(CloudEvent.parse(logged.body).data))
    await openRun('orders.orders', { companies: ['B'] })
    expect(await problem(await request(id, limited))).toMatchObject({ status: 403, code: 'forbidden' })
    expect((await request(id)).status).toBe(200)
  })

  test('is not found by users who may not see the run, and not before it is requested', async () => {
    const limited = await api.addUser('viewer')
    await limitTo(api, limited, ['A'])
    const ofB = await freshRun('orders.items', ['B'])
    expect(await problem(await request(ofB.id, limited))).toMatchObject({ status: 404, code: 'not_found' })
    expect((await request(randomUUID())).status).toBe(404)
    expect((await request('none')).status).toBe(400)
    expect((await fetch(`${api.url}/api/runs/${ofB.id}/request`)).status).toBe(401)
    await api.db
      .updateTable('metric_runs')
      .set({ status: 'PENDING', attempt: 0, requested_at: null })
      .where('id', '=', ofB.id)
      .execute()
    expect((await problem(await request(ofB.id))).detail).toBe(
      `The run ${ofB.id} has not been requested yet, so it has no request.`,
    )
  })
})
