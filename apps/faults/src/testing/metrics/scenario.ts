import { ProjectionAccepted } from '@aduana/contracts/metrics/http-runs'
import type { TestApi } from '@aduana/testkit/api'
import type { Random } from '@aduana/testkit/random'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import type { Freshness } from '../../metrics/freshness.ts'
import { isSettled } from '../../metrics/settled.ts'
import { SCENARIO_METRICS } from './scenario-metrics.ts'
import type { Change } from './world.ts'

const WITHIN = 120_000
const JSON_BODY = { 'content-type': 'application/json' }

/** What the test does with the installation, as its users would: over HTTP; only the tables are changed directly. */
export interface Scenario {
  declareMetrics(): Promise<void>
  /**
   * Send changes, each twice, in an order and in batches that chance decides; what was written outside is in its table
   * when it is told first. After every batch each metric has the values of the tables or says why not.
   */
  send(changes: readonly Change[]): Promise<void>
  settled(): Promise<void>
  /** How often each change was taken in: once, if all is well. */
  takenIn(): ReadonlyMap<Change, number>
  post(path: string, body?: unknown): Promise<Response>
}

export function openScenario(
  system: TestSystem,
  api: TestApi,
  freshness: Freshness,
  random: Random,
): Scenario {
  const { pool } = system.database
  const written = new Map<Change, Promise<unknown>>()
  const taken = new Map<Change, number>()
  const write = (change: Change) => {
    if (change.kind === 'file') return undefined
    const known = written.get(change) ?? pool.query(change.write)
    written.set(change, known)
    return known
  }
  const post: Scenario['post'] = (path, body) =>
    api.fetch(path, {
      method: 'POST',
      ...(body === undefined ? {} : { headers: JSON_BODY, body: JSON.stringify(body) }),
    })

  /** Answers whether it was news. */
  async function deliver(change: Change): Promise<boolean> {
    await write(change)
    if (change.kind === 'file') {
      const response = await api.upload(change.content, { dataset: change.dataset })
      expect([202, 409]).toContain(response.status)
      return response.status === 202
    }
    const response = await post('/api/projections', change.update)
    expect(response.status).toBe(202)
    expect(ProjectionAccepted.parse(await response.json()).eventKey).toBe(change.update.eventKey)
    return response.headers.get('idempotency-replayed') === null
  }

  return {
    post,
    takenIn: () => taken,
    declareMetrics: async () => {
      for (const { definition } of SCENARIO_METRICS) {
        const { code, ...body } = definition
        const init = { method: 'PUT', headers: JSON_BODY, body: JSON.stringify(body) }
        expect((await api.fetch(`/api/metrics/${code}`, init)).status).toBe(201)
      }
    },
    send: async (changes) => {
      const deliveries = shuffled(random, [...changes, ...changes])
      while (deliveries.length > 0) {
        await Promise.all(
          deliveries.splice(0, random.int(1, 4)).map(async (change) => {
            const news = await deliver(change)
            taken.set(change, (taken.get(change) ?? 0) + (news ? 1 : 0))
          }),
        )
        expect(await freshness.unexplained()).toEqual([])
      }
    },
    settled: () =>
      until(() => isSettled(pool), { within: WITHIN, what: 'everything has settled' }).then(() => undefined),
  }
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
