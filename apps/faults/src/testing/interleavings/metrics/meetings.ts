import { samplePairs } from '@aduana/testkit/long'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Rebuilt } from '../kept.ts'
import { meet, succeeded } from '../meeting.ts'
import { type MeetingPlace, openMeetingPlace } from '../meeting-place.ts'
import { brokenMetricPromises } from './promises.ts'
import { METRIC_MEETINGS, METRIC_TRANSACTIONS, type MetricTransactionName } from './transactions.ts'
import { buildMetricWorld, type MetricWorld, type MetricWorldName } from './worlds.ts'

/** Declares the tests of some worlds: every pair of transactions that can meet there, in every order. */
export function testMetricMeetings(promise: string, worlds: readonly MetricWorldName[]): void {
  let place: MeetingPlace
  beforeAll(async () => {
    place = await openMeetingPlace()
  })
  afterAll(() => place.close())

  describe.each(worlds)('a run that %s', (world) => {
    let rebuilt: Rebuilt<MetricWorld>
    const settled = new Set<string>()
    beforeAll(async () => {
      rebuilt = await buildMetricWorld(place, world)
    })
    const names: readonly MetricTransactionName[] = METRIC_MEETINGS[world]
    test.each(samplePairs(names))(promise, { timeout: 600_000 }, async (...pair) => {
      const schedules = await meetInOrders(place, rebuilt, pair, settled)
      expect(schedules).toBeGreaterThan(1)
    })
  })
}

function meetInOrders(
  { sessions, database }: MeetingPlace,
  rebuilt: Rebuilt<MetricWorld>,
  names: readonly MetricTransactionName[],
  settled: Set<string>,
): Promise<number> {
  return meet({
    sessions,
    monitor: database.pool,
    rebuilt,
    transactions: names.map((name) => METRIC_TRANSACTIONS[name]),
    broken: ({ endings }, world) => {
      const did = (what: MetricTransactionName) =>
        endings.some((ending, index) => names[index] === what && succeeded(ending))
      const asked = { recomputed: did('recompute'), saved: did('save the metric') }
      return brokenMetricPromises(database, world, asked, settled)
    },
  })
}
