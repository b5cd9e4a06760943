import { setTimeout as delay } from 'node:timers/promises'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import type { Freshness } from '../../metrics/freshness.ts'
import { isSettled } from '../../metrics/settled.ts'

const WITHIN = 180_000
const PAUSE_MS = 1000

/** Wait until everything has settled; until then, whenever one looks, each metric has the values of the tables or says why not. */
export async function followUntilSettled(system: TestSystem, freshness: Freshness): Promise<void> {
  await until(
    async () => {
      // To look more often would take the processors from those who work.
      await delay(PAUSE_MS)
      expect(await freshness.unexplained()).toEqual([])
      return isSettled(system.database.pool)
    },
    { within: WITHIN, what: 'everything has settled' },
  )
}
