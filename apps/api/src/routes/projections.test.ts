import { randomUUID } from 'node:crypto'
import { ProjectionAccepted } from '@aduana/contracts/metrics/http-runs'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limitTo, tell } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let steward: TestUser
let viewer: TestUser
beforeAll(async () => {
  api = await startApi()
  steward = await api.addUser('steward')
  viewer = await api.addUser('viewer')
})
afterAll(() => api.close())

const problem = async (answer: Response) => Problem.parse(await answer.json())

describe('an update of a dataset', () => {
  const days = [{ from: '2026-03-02', to: '2026-03-03' }]

  test('that is repeated gets the same response and changes nothing', async () => {
    const update = { eventKey: 'nightly 1', dataset: 'dkt', days }
    const [first, second] = [await tell(steward, update), await tell(steward, update)]
    expect([first.status, second.status]).toEqual([202, 202])
    const accepted = ProjectionAccepted.parse(await first.json())
    expect(await second.json()).toEqual(accepted)
    expect([first, second].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true'])
    const reused = await tell(steward, { ...update, dataset: 'orders' })
    expect((await problem(reused)).code).toBe('event_key_reused')
  })

  test('is refused if it is impossible', async () => {
    const told = async (change: object) =>
      (await problem(await tell(steward, { eventKey: randomUUID(), dataset: 'orders', days, ...change })))
        .code
    expect(await told({ dataset: 'nothing' })).toBe('unknown_dataset')
    expect(await told({ occurredAt: '1999-01-01T00:00:00Z' })).toBe('impossible_timestamp')
    expect(await told({ days: [{ from: '2026-03-02', to: '2026-03-02' }] })).toBe('bad_request')
    expect(await told({ days: [{ from: '0000-01-01', to: '2026-03-02' }] })).toBe('bad_request')
    expect((await tell(viewer, { eventKey: 'x', dataset: 'orders', days })).status).toBe(403)
  })

  test('is limited to the companies of its sender', async () => {
    const own = await api.addUser('steward')
    await limitTo(api, own, ['A'])
    const told = async (companies?: string[]) =>
      (await tell(own, { eventKey: randomUUID(), dataset: 'orders', days, companies })).status
    expect([await told(), await told(['A', 'B']), await told(['A'])]).toEqual([403, 403, 202])
  })
})
