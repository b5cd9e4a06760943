import { addDays } from '@aduana/contracts/dates'
import { DailyMetrics } from '@aduana/contracts/metrics/http'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cell, limitTo, writeValues } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let viewer: TestUser
/** A viewer who may see the company A only. */
let limited: TestUser
const today = new Date().toISOString().slice(0, 10)

beforeAll(async () => {
  api = await startApi()
  viewer = await api.addUser('viewer')
  limited = await api.addUser('viewer')
  await limitTo(api, limited, ['A'])
  // Monday to Sunday, and the Monday after.
  await writeValues(api.db, 'orders.orders', [
    ['2026-03-02', 'A', 'A1', 1],
    ['2026-03-02', 'A', 'A2', 2],
    ['2026-03-08', 'A', 'A1', 4],
    ['2026-03-08', 'B', 'B1', 8],
    ['2026-03-09', 'A', 'A1', 16],
  ])
  await writeValues(api.db, 'production.pieces_7_days', [
    ['2026-03-02', null, null, 70],
    ['2026-03-08', null, null, 77],
  ])
  await writeValues(api.db, 'production.third_shift_share', [
    ['2026-03-02', null, null, 10],
    ['2026-03-03', null, null, 20.5],
    ...Array.from({ length: 12 }, (_, back): Cell => [addDays(today, 1 - back), null, null, back]),
  ])
})
afterAll(() => api.close())

const ask = (query: string, as = viewer, headers: Record<string, string> = {}) =>
  as.ask(`/api/data/daily_metrics?${query}`, { headers })
const read = async (query: string, as = viewer) => DailyMetrics.parse(await (await ask(query, as)).json())
const rows = async (query: string, as = viewer) =>
  (await read(query, as)).items.map(({ date, company, warehouse, value }) => [
    date,
    company,
    warehouse,
    value,
  ])
const MARCH = 'metric=orders.orders&date_range=2026-03-01..2026-04-01'

test('values are returned by day and cell, for the range', async () => {
  const { aggregate, from, to, items } = await read(MARCH)
  expect({ aggregate, from, to }).toEqual({ aggregate: null, from: '2026-03-01', to: '2026-04-01' })
  expect(items).toHaveLength(5)
  expect(items[0]).toMatchObject({ date: '2026-03-02', company: 'A', warehouse: 'A1', value: 1, days: 1 })
  expect(await rows(`${MARCH}&company=A&warehouse=A2`)).toEqual([['2026-03-02', 'A', 'A2', 2]])
})

test('sums of weeks begin on Monday', async () => {
  expect(await rows(`${MARCH}&granularity=week`)).toEqual([
    ['2026-03-02', 'A', 'A1', 5],
    ['2026-03-02', 'A', 'A2', 2],
    ['2026-03-02', 'B', 'B1', 8],
    ['2026-03-09', 'A', 'A1', 16],
  ])
  expect((await read(`${MARCH}&granularity=week`)).aggregate).toBe('sum')
})

test('sums over companies include only what the reader may see', async () => {
  expect(await rows(`${MARCH}&granularity=month&by=company`)).toEqual([
    ['2026-03-01', 'A', null, 23],
    ['2026-03-01', 'B', null, 8],
  ])
  expect(await rows(`${MARCH}&granularity=month&by=total`)).toEqual([['2026-03-01', null, null, 31]])
  expect(await rows(`${MARCH}&granularity=month&by=total`, limited)).toEqual([['2026-03-01', null, null, 23]])
  expect(await rows(`${MARCH}&company=B`, limited)).toEqual([])
})

test('of running values the last day of a period counts', async () => {
  const range = 'metric=production.pieces_7_days&date_range=2026-03-01..2026-04-01&granularity=week'
  expect(await read(range)).toMatchObject({ aggregate: 'last', items: [{ value: 77, days: 2 }] })
  expect(await read(`${range}&aggregate=first`)).toMatchObject({ aggregate: 'first', items: [{ value: 70 }] })
})

test('a period that cannot be computed from daily values is refused, unless the query sets the aggregation', async () => {
  const share = 'metric=production.third_shift_share&date_range=2026-03-01..2026-04-01&granularity=month'
  expect(Problem.parse(await (await ask(share)).json())).toMatchObject({
    status: 400,
    code: 'bad_request',
    errors: [{ field: 'aggregate' }],
  })
  expect((await read(`${share}&aggregate=avg`)).items).toMatchObject([{ value: 15.25, days: 2 }])
  const mean = await ask(`${MARCH}&granularity=month&aggregate=avg&by=total`)
  expect(Problem.parse(await mean.json())).toMatchObject({ status: 400, errors: [{ field: 'by' }] })
})

test('the last seven days are today and the six before it', async () => {
  const { from, to, items } = await read('metric=production.third_shift_share&date_range=last_7_days')
  // The day may change while this runs.
  expect([addDays(today, 1), addDays(today, 2)]).toContain(to)
  expect(items.map(({ date }) => date)).toEqual([-7, -6, -5, -4, -3, -2, -1].map((back) => addDays(to, back)))
  expect(from).toBe(addDays(to, -7))
})

test.each([
  'last_0_days',
  'tomorrow',
  '2026-03-01',
  '2026-03-02..2026-03-01',
  '1990-01-01..2026-01-01',
  'toString',
])('an invalid range is refused: %s', async (range) => {
  const answer = await ask(`metric=orders.orders&date_range=${range}`)
  expect(Problem.parse(await answer.json())).toMatchObject({
    status: 400,
    errors: [{ field: 'date_range' }],
  })
})

test('a time zone determines today, and an unknown one is refused', async () => {
  expect((await ask('metric=orders.orders&time_zone=America/Bogota&date_range=today')).status).toBe(200)
  expect((await ask('metric=orders.orders&time_zone=Mars/Olympus')).status).toBe(400)
})

test('pages continue each other', async () => {
  const first = await read(`${MARCH}&granularity=week&limit=3`)
  const second = await read(`${MARCH}&granularity=week&limit=3&cursor=${first.next}`)
  expect([...first.items, ...second.items]).toEqual((await read(`${MARCH}&granularity=week`)).items)
  expect(second.next).toBeNull()
})

test('a cached response is valid until a value changes', async () => {
  const query = 'metric=production.lots&date_range=2026-03-01..2026-04-01'
  await writeValues(api.db, 'production.lots', [['2026-03-02', null, null, 1]])
  const first = await ask(query)
  const tag = first.headers.get('etag') ?? ''
  expect(first.headers.get('cache-control')).toBe('private, no-cache')
  expect((await ask(query, viewer, { 'if-none-match': tag })).status).toBe(304)
  await api.db
    .updateTable('daily_metrics')
    .set({ value: 2 })
    .where('metric_name', '=', 'production.lots')
    .execute()
  const changed = await ask(query, viewer, { 'if-none-match': tag })
  expect([changed.status, DailyMetrics.parse(await changed.json()).items[0]?.value]).toEqual([200, 2])
})
