import { setTimeout as delay } from 'node:timers/promises'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import type { MetricOracle } from '../../metrics/oracle.ts'
import { isSettled } from '../../metrics/settled.ts'

const WITHIN = 180_000
const PAUSE_MS = 1000

/** Waits until everything has settled. Until then checks repeatedly that every metric is correct or reported as incomplete. */
export async function checkUntilSettled(system: TestSystem, oracle: MetricOracle): Promise<void> {
  await until(
    async () => {
      // Checking more often would take processor time from the workers.
      await delay(PAUSE_MS)
      expect(await oracle.unreported()).toEqual([])
      return isSettled(system.database.pool)
    },
    { within: WITHIN, what: 'everything has settled' },
  )
}
