import { ProjectionAccepted } from '@aduana/contracts/metrics/http-runs'
import type { TestApi } from '@aduana/testkit/api'
import type { Random } from '@aduana/testkit/random'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import type { MetricOracle } from '../../metrics/oracle.ts'
import { isSettled } from '../../metrics/settled.ts'
import type { Change } from './changes.ts'
import { SCENARIO_METRICS } from './scenario-metrics.ts'

const WITHIN = 120_000
const JSON_BODY = { 'content-type': 'application/json' }

/** A client that uses the installation over HTTP. Only external changes are written directly to the tables. */
export interface ScenarioClient {
  declareMetrics(): Promise<void>
  /**
   * Sends changes, each twice, in random order and random batches. An external change is written before its first report.
   * Checks after every batch that each metric is correct or reported as incomplete.
   */
  send(changes: readonly Change[]): Promise<void>
  settled(): Promise<void>
  /** How often each change was accepted: exactly once if nothing is broken. */
  acceptedCounts(): ReadonlyMap<Change, number>
  post(path: string, body?: unknown): Promise<Response>
}

/** Creates a client of an installation. */
export function createScenarioClient(
  system: TestSystem,
  api: TestApi,
  oracle: MetricOracle,
  random: Random,
): ScenarioClient {
  const { pool } = system.database
  const written = new Map<Change, Promise<unknown>>()
  const accepted = new Map<Change, number>()
  const write = (change: Change) => {
    if (change.kind === 'file') return undefined
    const known = written.get(change) ?? pool.query(change.write)
    written.set(change, known)
    return known
  }
  const post: ScenarioClient['post'] = (path, body) =>
    api.fetch(path, {
      method: 'POST',
      ...(body === undefined ? {} : { headers: JSON_BODY, body: JSON.stringify(body) }),
    })

  /** Returns whether the change was accepted for the first time. */
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
    acceptedCounts: () => accepted,
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
            const isNew = await deliver(change)
            accepted.set(change, (accepted.get(change) ?? 0) + (isNew ? 1 : 0))
          }),
        )
        expect(await oracle.unreported()).toEqual([])
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
