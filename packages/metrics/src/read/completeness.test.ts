import { afterEach, beforeEach, expect, test } from 'vitest'
import { cancelRun, requestRecompute } from '../runs/manual.ts'
import { day, type Flow, openFlow, type UpdateOf } from '../testing/flow.ts'
import { countOutstandingRuns } from './completeness.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
  await flow.save({ pieces: ['production'] })
})
afterEach(() => flow.drop())

const outstanding = async () =>
  Object.fromEntries([...(await countOutstandingRuns(flow.db))].filter(([, runs]) => runs > 0))
const failed = async (update: UpdateOf = {}) => {
  await flow.update('production', update)
  const { id } = await flow.open('pieces')
  await flow.begin(id)
  await flow.finish(id, { status: 'failed', error: { code: 'broken', detail: 'x' } })
}
const succeeded = async (update: UpdateOf = {}) => {
  await flow.update('production', update)
  await flow.work()
}

test.each<[string, UpdateOf]>([
  ['the same days and company', { companies: ['ACME'] }],
  ['all companies', {}],
])('a run that failed is made good by a later one of %s', async (_, update) => {
  await failed({ companies: ['ACME'] })
  expect(await outstanding()).toEqual({ FAILED: 1 })
  await succeeded(update)
  expect(await outstanding()).toEqual({})
})

test.each<[string, UpdateOf]>([
  ['other days', { days: day('2026-03-01'), companies: ['ACME'] }],
  ['another company', { companies: ['BETA'] }],
])('a run that failed is not made good by a later one of %s', async (_, update) => {
  await failed({ companies: ['ACME'] })
  await succeeded(update)
  expect(await outstanding()).toEqual({ FAILED: 1 })
})

test('a failed run is not made up for by an earlier successful run', async () => {
  await succeeded()
  await failed()
  expect(await outstanding()).toEqual({ FAILED: 1 })
})

test('a cancelled run leaves its update uncomputed, but a cancelled recomputation leaves nothing uncomputed', async () => {
  await flow.update('production')
  const { id } = await flow.open('pieces')
  expect(await outstanding()).toEqual({ REQUESTED: 1 })
  await flow.inTx((tx) => cancelRun(tx, id, null))
  expect(await outstanding()).toEqual({ CANCELLED: 1 })
  await succeeded()
  const again = await flow.inTx((tx) => requestRecompute(tx, 'pieces', '2026-03-01', '2026-03-02', null))
  await flow.inTx((tx) => cancelRun(tx, again, null))
  expect(await outstanding()).toEqual({})
})
