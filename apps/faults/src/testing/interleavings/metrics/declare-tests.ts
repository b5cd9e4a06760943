import { samplePairs } from '@aduana/testkit/long'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Environment, openEnvironment } from '../environment.ts'
import { interleave, succeeded } from '../interleave.ts'
import type { WorldSnapshot } from '../snapshot.ts'
import { brokenMetricPromises } from './promises.ts'
import { METRIC_COMBINATIONS, METRIC_TRANSACTIONS, type MetricTransactionName } from './transactions.ts'
import { buildMetricWorld, type MetricWorld, type MetricWorldName } from './worlds.ts'

/** Declares the tests of worlds: pairs of their transactions in every interleaving. */
export function testMetricInterleavings(title: string, worlds: readonly MetricWorldName[]): void {
  let environment: Environment
  beforeAll(async () => {
    environment = await openEnvironment()
  })
  afterAll(() => environment.close())

  describe.each(worlds)('a run that %s', (world) => {
    let snapshot: WorldSnapshot<MetricWorld>
    const settled = new Set<string>()
    beforeAll(async () => {
      snapshot = await buildMetricWorld(environment, world)
    })
    const names: readonly MetricTransactionName[] = METRIC_COMBINATIONS[world]
    test.each(samplePairs(names))(title, { timeout: 600_000 }, async (...pair) => {
      const schedules = await interleavePair(environment, snapshot, pair, settled)
      expect(schedules).toBeGreaterThan(1)
    })
  })
}

function interleavePair(
  { sessions, database }: Environment,
  snapshot: WorldSnapshot<MetricWorld>,
  names: readonly MetricTransactionName[],
  settled: Set<string>,
): Promise<number> {
  return interleave({
    sessions,
    monitor: database.pool,
    snapshot,
    transactions: names.map((name) => METRIC_TRANSACTIONS[name]),
    broken: ({ endings }, world) => {
      const committed = (name: MetricTransactionName) =>
        endings.some((ending, index) => names[index] === name && succeeded(ending))
      const requested = { recomputed: committed('recompute'), saved: committed('save the metric') }
      return brokenMetricPromises(database, world, requested, settled)
    },
  })
}
