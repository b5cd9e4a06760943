import { randomUUID } from 'node:crypto'
import { Lineage, Metric, MetricItem, MetricValues, SavedMetric } from '@aduana/contracts/metrics/http'
import { RunAccepted } from '@aduana/contracts/metrics/http-runs'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { JSON_BODY, limitTo, tell, writeValues } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let admin: TestUser
let steward: TestUser
let viewer: TestUser
/** A viewer who may see the company A only. */
let limited: TestUser

beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
  steward = await api.addUser('steward')
  viewer = await api.addUser('viewer')
  limited = await api.addUser('viewer')
  await limitTo(api, limited, ['A'])
  await writeValues(api.db, 'orders.company_orders', [
    ['2026-03-02', 'A', null, 5],
    ['2026-03-02', 'B', null, 7],
    ['2026-03-03', 'A', null, 2.5],
  ])
  await writeValues(api.db, 'all_orders', [['2026-03-02', null, null, 12]], { sums: true })
})
afterAll(() => api.close())

const total = (expression: object, rest: object = {}) => ({
  title: { en: 'T', es: 'T' },
  expression,
  ...rest,
})
const rows = { type: 'aggregate', op: 'count', series: 'orders.rows' }
const put = (code: string, body: unknown, as = admin) =>
  as.ask(`/api/metrics/${code}`, { method: 'PUT', headers: JSON_BODY, body: JSON.stringify(body) })
const read = async (code: string, as = viewer) =>
  Metric.parse(await (await as.ask(`/api/metrics/${code}`)).json())
const values = async (path: string, as = viewer) =>
  MetricValues.parse(await (await as.ask(`/api/metrics/${path}`)).json())
const problem = async (answer: Response) => Problem.parse(await answer.json())

describe('the list of metrics', () => {
  test('contains the shipped metrics, page by page, by tab', async () => {
    const List = z.object({ items: z.array(MetricItem), next: z.string().nullable() })
    const codes: string[] = []
    let cursor = ''
    do {
      const path = `/api/metrics?tab=production&limit=7${cursor && `&cursor=${cursor}`}`
      const page = List.parse(await (await viewer.ask(path)).json())
      codes.push(...page.items.map(({ code }) => code))
      cursor = page.next ?? ''
    } while (cursor !== '')
    expect(codes).toContain('production.pieces')
    expect(codes).toEqual([...new Set(codes)].sort())
    expect(codes.every((code) => code.startsWith('production.'))).toBe(true)
  })

  test('shows freshness within the scope of the reader, and leaves out metrics of other roles', async () => {
    await put('for_stewards', total(rows, { role: 'steward' }))
    const list = async (as: TestUser) =>
      z.object({ items: z.array(MetricItem) }).parse(await (await as.ask('/api/metrics?limit=500')).json())
        .items
    const fresh = (await list(viewer)).find(({ code }) => code === 'orders.company_orders')
    expect(fresh).toMatchObject({ grain: 'company', level: 0, freshness: { lastDay: '2026-03-03' } })
    expect((await list(viewer)).map(({ code }) => code)).not.toContain('for_stewards')
    expect((await list(steward)).map(({ code }) => code)).toContain('for_stewards')
    expect(await problem(await viewer.ask('/api/metrics/for_stewards'))).toMatchObject({
      status: 404,
      code: 'unknown_metric',
    })
  })
})

describe('a metric', () => {
  test('is added, and gets a new version only if it changes', async () => {
    const first = await put('twice_orders', total(rows))
    expect([first.status, SavedMetric.parse(await first.json())]).toEqual([
      201,
      { code: 'twice_orders', version: 1, changed: true },
    ])
    const again = await put('twice_orders', total(rows))
    expect([again.status, await again.json()]).toMatchObject([200, { version: 1, changed: false }])
    const both = { type: 'arithmetic', op: 'add', of: [rows, rows] }
    expect(await (await put('twice_orders', total(both))).json()).toMatchObject({ version: 2 })
    expect(await read('twice_orders')).toMatchObject({
      version: 2,
      rollUp: 'sum',
      dependencies: { datasets: [{ dataset: 'orders', requiredDays: 7 }], series: ['orders.rows'] },
    })
  })

  test.each([
    [{ type: 'arithmetic', op: 'add', of: [rows, { type: 'metric', metric: 'nobody' }] }, 'unknown_metric'],
    [{ type: 'arithmetic', op: 'add', of: [rows, { type: 'constant' }] }, 'invalid'],
    [{ type: 'arithmetic', op: 'add', of: [rows, { ...rows, series: 'no.series' }] }, 'unknown_series'],
  ])('is refused with the path of the wrong node: %j', async (expression, code) => {
    const answer = await put('wrong', total(expression))
    const refused = await problem(answer)
    expect(refused).toMatchObject({ status: 422, code: 'invalid_metric' })
    expect(refused.problems).toMatchObject([
      { metric: 'wrong', path: expect.stringMatching(/^expression\.of\[1\]\./), code },
    ])
  })

  test('keeps the code of its address', async () => {
    const refused = await problem(await put('one_code', { ...total(rows), code: 'another' }))
    expect(refused).toMatchObject({ status: 422, problems: [{ path: 'code' }] })
    expect((await problem(await put('Not%20a%20code', total(rows)))).status).toBe(400)
  })

  test('that other metrics need is not retired; a retired metric is not found and can be saved again', async () => {
    await put('beneath', total(rows))
    await put('above', total({ type: 'metric', metric: 'beneath' }))
    const retire = (code: string, as = admin) => as.ask(`/api/metrics/${code}`, { method: 'DELETE' })
    expect(await problem(await retire('beneath'))).toMatchObject({
      code: 'metric_in_use',
      metrics: ['above'],
    })
    expect((await retire('above')).status).toBe(204)
    expect((await viewer.ask('/api/metrics/above')).status).toBe(404)
    expect((await retire('beneath', steward)).status).toBe(403)
    expect((await put('above', total({ type: 'metric', metric: 'beneath' }))).status).toBe(200)
  })

  test('shows outstanding runs and their missing datasets', async () => {
    await put('needs_both', {
      ...total({
        type: 'arithmetic',
        op: 'add',
        of: [rows, { type: 'aggregate', op: 'count', series: 'production.rows' }],
      }),
    })
    expect((await read('needs_both')).completeness).toEqual({
      ...{ complete: true, outstanding: [], notPassedOn: [] },
    })
    await tell(steward, {
      eventKey: randomUUID(),
      dataset: 'orders',
      days: [{ from: '2026-03-02', to: '2026-03-04' }],
    })
    const { completeness, dependencies } = await read('needs_both')
    expect(completeness).toMatchObject({
      complete: false,
      outstanding: [{ metric: 'needs_both', status: 'PENDING', waitsFor: [{ dataset: 'production' }] }],
    })
    expect(dependencies.datasets).toMatchObject([
      { dataset: 'orders', inTime: true },
      { dataset: 'production', inTime: false, lastUpdate: null },
    ])
    // What it needs is outstanding for the metrics above, too.
    expect(
      (await read('orders.items_per_order')).completeness.outstanding.map(({ metric }) => metric),
    ).toEqual(expect.arrayContaining(['orders.items', 'orders.orders']))
  })
})

describe('the values of a metric', () => {
  test('are exact, in order, within the range, page by page', async () => {
    const all = await values('orders.company_orders/values')
    expect(all.items.map(({ date, company, value }) => [date, company, value])).toEqual([
      ['2026-03-02', 'A', '5'],
      ['2026-03-02', 'B', '7'],
      ['2026-03-03', 'A', '2.5'],
    ])
    const first = await values('orders.company_orders/values?limit=2')
    const second = await values(`orders.company_orders/values?limit=2&cursor=${first.next}`)
    expect([...first.items, ...second.items]).toEqual(all.items)
    expect(second.next).toBeNull()
    expect((await values('orders.company_orders/values?from=2026-03-03&to=2026-03-04')).items).toHaveLength(1)
    expect((await values('orders.company_orders/values?company=B')).items).toHaveLength(1)
    const later = new Date(Date.now() + 60_000).toISOString()
    expect((await values(`orders.company_orders/values?updatedSince=${later}`)).items).toEqual([])
  })

  test('of other companies, and sums over them, are not returned', async () => {
    await put('all_orders', total(rows))
    const own = await values('orders.company_orders/values', limited)
    expect(own.items.map(({ company }) => company)).toEqual(['A', 'A'])
    expect((await values('orders.company_orders/values?company=B', limited)).items).toEqual([])
    expect((await values('all_orders/values')).items).toMatchObject([{ value: '12' }])
    expect((await values('all_orders/values', limited)).items).toEqual([])
    expect((await read('all_orders', limited)).freshness).toMatchObject({ lastDay: null, days: 0 })
    expect((await read('all_orders')).freshness).toMatchObject({ lastDay: '2026-03-02', days: 1 })
  })

  test('are reported as incomplete while a load is not fanned out', async () => {
    const { id } = Object(await (await viewer.ask('/api/datasets/dkt')).json())
    const series = { title: { en: 'Cards', es: 'Tarjetas' }, dataset: 'dkt', column: null }
    await admin.ask('/api/series/dkt.rows', {
      method: 'PUT',
      headers: JSON_BODY,
      body: JSON.stringify(series),
    })
    await put('cards', total({ type: 'aggregate', op: 'count', series: 'dkt.rows' }))
    const loaded = { dataset_id: id, event_key: randomUUID(), days: '{[2026-03-02,2026-03-03)}', rows: 1 }
    await api.db.insertInto('dataset_updates').values(loaded).execute()
    const { completeness } = await values('cards/values')
    expect(completeness).toMatchObject({
      ...{ complete: false, outstanding: [] },
      notPassedOn: [{ dataset: 'dkt', days: [{ from: '2026-03-02', to: '2026-03-03' }] }],
    })
  })

  test('of an unknown metric are not found', async () => {
    expect(await problem(await viewer.ask('/api/metrics/nobody/values'))).toMatchObject({
      status: 404,
      code: 'unknown_metric',
    })
    const answer = await viewer.ask('/api/metrics/orders.items/values?cursor=nonsense')
    expect((await problem(answer)).code).toBe('bad_request')
  })
})

describe('lineage', () => {
  test('shows the datasets, the series, the metric and its dependents', async () => {
    const answer = await viewer.ask('/api/metrics/orders.orders/lineage')
    const { nodes, edges } = Lineage.parse(await answer.json())
    const side = (id: string) => nodes.find((node) => node.id === id)?.side
    expect([side('dataset:orders'), side('series:orders.rows')]).toEqual(['beneath', 'beneath'])
    expect([side('metric:orders.orders'), side('metric:orders.orders_growth')]).toEqual(['itself', 'above'])
    expect(edges).toEqual(
      expect.arrayContaining([
        { from: 'dataset:orders', to: 'series:orders.rows' },
        { from: 'series:orders.rows', to: 'metric:orders.orders' },
        { from: 'metric:orders.orders', to: 'metric:orders.orders_growth' },
      ]),
    )
    const known = new Set(nodes.map(({ id }) => id))
    expect(edges.every(({ from, to }) => known.has(from) && known.has(to))).toBe(true)
  })
})

describe('recomputing', () => {
  const recompute = (body: unknown, key?: string, as = steward) =>
    as.ask('/api/metrics/production.lots/recompute', {
      method: 'POST',
      headers: { ...JSON_BODY, ...(key ? { 'idempotency-key': key } : {}) },
      body: JSON.stringify(body),
    })

  test('returns the run, whose days end before "to", and one run for repeated requests with a key', async () => {
    const key = randomUUID()
    const range = { from: '2026-01-01', to: '2026-02-01' }
    const [first, second] = [await recompute(range, key), await recompute(range, key)]
    expect([first.status, second.status]).toEqual([202, 202])
    const { id, status } = RunAccepted.parse(await first.json())
    expect(await second.json()).toEqual({ id, status })
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(first.headers.get('location')).toBe(`/api/runs/${id}`)
    const run = Object(await (await viewer.ask(`/api/runs/${id}`)).json())
    expect(run).toMatchObject({ cause: 'recompute', status: 'REQUESTED', days: [range] })
    expect((await problem(await recompute({ ...range, to: '2026-02-02' }, key))).code).toBe(
      'idempotency_key_reused',
    )
  })

  test('is for stewards, and for ranges with days', async () => {
    const range = { from: '2026-01-01', to: '2026-02-01' }
    expect((await recompute(range, undefined, viewer)).status).toBe(403)
    for (const wrong of [
      { from: range.to, to: range.from },
      { from: '0000-01-01', to: '2026-01-01' },
      { from: '1990-01-01', to: '2026-01-01' },
    ])
      expect((await problem(await recompute(wrong))).code).toBe('bad_request')
  })
})

describe('series', () => {
  test('are listed and added, and keep dataset and column while a metric uses them', async () => {
    const save = (code: string, body: object, as = admin) =>
      as.ask(`/api/series/${code}`, { method: 'PUT', headers: JSON_BODY, body: JSON.stringify(body) })
    const place = { title: { en: 'Type', es: 'Tipo' }, dataset: 'orders', column: 'order_type' }
    const saved = await save('orders.kind', place)
    expect([saved.status, await saved.json()]).toEqual([200, { code: 'orders.kind', ...place, version: 1 }])
    const { items } = Object(await (await viewer.ask('/api/series')).json())
    expect(items).toContainEqual({ code: 'orders.kind', ...place, version: 1 })
    expect((await save('orders.kind', place, steward)).status).toBe(403)
    const moved = await save('orders.rows', { ...place, column: 'items_count' })
    expect((await problem(moved)).code).toBe('metric_in_use')
    expect((await problem(await save('orders.none', { ...place, column: 'none' }))).code).toBe('bad_request')
  })
})

test('a dataset is found by its id, too', async () => {
  const { id } = Object(await (await viewer.ask('/api/datasets/orders')).json())
  expect(await (await viewer.ask(`/api/datasets/${id}`)).json()).toMatchObject({ id, code: 'orders' })
  expect((await viewer.ask(`/api/datasets/${randomUUID()}`)).status).toBe(404)
})
