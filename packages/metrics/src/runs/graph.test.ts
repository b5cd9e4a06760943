import { afterEach, beforeEach, expect, test } from 'vitest'
import { after, day, type Flow, openFlow } from '../testing/flow.ts'
import { expirePendingRuns } from './expire.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
afterEach(() => flow.drop())

test('a graph of four levels computes each metric once, after its inputs', async () => {
  await flow.save({
    a: ['production'],
    b: ['production'],
    x: ['a', 'b'],
    y: ['x', 'b', 'production'],
    z: ['y', 'a'],
    top: ['z', 'x', 'a', 'production'],
  })
  await flow.update('production')
  const order = await flow.work()
  expect([...order].sort()).toEqual(['a', 'b', 'top', 'x', 'y', 'z'])
  const place = (code: string) => order.indexOf(code)
  for (const [code, inputs] of [
    ['x', ['a', 'b']],
    ['y', ['x', 'b']],
    ['z', ['y', 'a']],
    ['top', ['z', 'x']],
  ] as const)
    for (const other of inputs) expect(place(code)).toBeGreaterThan(place(other))
})

test('a run of a dependent metric has the days that its input metric has written, and the inputs', async () => {
  await flow.save({ a: ['production'], x: ['a'] })
  const { updateId } = await flow.update('production', { companies: ['ACME'] })
  const { id } = await flow.open('a')
  await flow.begin(id)
  await flow.finish(id, { days: [{ from: '2026-03-09', to: '2026-03-16' }] } as object)
  const above = await flow.open('x')
  expect(above).toMatchObject({ cause: 'metric', days: '{[2026-03-09,2026-03-16)}', companies: ['ACME'] })
  expect((await flow.request(above.id)).inputs).toMatchObject([{ updateId }])
})

test('a metric that has written nothing causes no runs of dependent metrics', async () => {
  await flow.save({ a: ['production'], x: ['a'] })
  await flow.update('production')
  await flow.finish((await flow.open('a')).id, { days: [] } as object)
  expect(await flow.runs('x')).toEqual([])
})

test('a metric of metrics waits for their datasets', async () => {
  await flow.save({ a: ['production'], b: ['orders'], x: ['a', 'b'] })
  await flow.update('production')
  expect(await flow.work()).toEqual(['a'])
  const waiting = await flow.open('x')
  expect(waiting.status).toBe('PENDING')
  expect(await flow.waitsFor(waiting.id)).toEqual(['orders'])
  await flow.update('orders', { at: after(30), days: day('2026-03-08') })
  expect(await flow.waitsFor(waiting.id)).toEqual([])
  expect(await flow.open('x')).toMatchObject({ id: waiting.id, status: 'PENDING' })
  expect(await flow.work()).toEqual(['b', 'x'])
  expect(await flow.runs('x')).toMatchObject([{ status: 'SUCCEEDED', days: '{[2026-03-08,2026-03-10)}' }])
})

test('a metric with a failed input metric is computed from existing values', async () => {
  await flow.save({ a: ['production'], b: ['production'], x: ['a', 'b'] })
  await flow.update('production')
  await flow.finish((await flow.open('a')).id)
  expect(await flow.open('x')).toMatchObject({ status: 'PENDING' })
  await flow.finish((await flow.open('b')).id, { status: 'failed', error: { code: 'x', detail: 'y' } })
  expect(await flow.open('x')).toMatchObject({ status: 'REQUESTED' })
})

test('a run that waits only for input metrics does not expire', async () => {
  await flow.save({ a: ['production'], x: ['a', 'production'] })
  await flow.update('production', { at: after(-24 * 365) })
  expect(await flow.open('x')).toMatchObject({ status: 'PENDING' })
  expect(await flow.inTx((tx) => expirePendingRuns(tx))).toEqual([])
  expect(await flow.work()).toEqual(['a', 'x'])
})

test('the runs of a thousand metrics of one update are requested in its transaction', async () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`m${n}`, ['production']]))
  await flow.save(many)
  const { scheduled } = await flow.update('production')
  expect(scheduled.requested).toHaveLength(1000)
  const sent = await flow.pool.query(`select count(*)::int as n from event_log where outbound`)
  expect(sent.rows).toEqual([{ n: 1000 }])
})
