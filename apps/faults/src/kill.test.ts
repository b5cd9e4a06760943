import { readFile } from 'node:fs/promises'
import { FAIL_POINTS } from '@aduana/runtime/fail-points'
import { sampleHalf } from '@aduana/testkit/long'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, expect, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { watchChannel } from './progress/channel.ts'
import { FAULT_SCENARIOS, type FaultScenarioName } from './testing/fault-scenarios.ts'
import { formatFailPoint, KILLS, OTHER_KILL_TESTS } from './testing/kills.ts'
import { atFailPoint, inGroups, openVictims } from './testing/victims.ts'

// Most of the time is spent waiting until the work of dead processes is taken over.
vi.setConfig({ maxConcurrency: 5 })

const WITHIN = 120_000
/** Processes that are killed one after the other in one installation. */
const MAX_VICTIMS = 6

const names = [...new Set(KILLS.map(({ scenario }) => scenario))]
const GROUPS: [failPoints: string[], scenario: FaultScenarioName][] = names.flatMap((name) =>
  inGroups(
    sampleHalf(KILLS.filter(({ scenario }) => scenario === name).map(formatFailPoint)),
    MAX_VICTIMS,
  ).map((failPoints): [string[], FaultScenarioName] => [failPoints, name]),
)

test('every fail point has a test that kills a process there', async () => {
  const killed = new Set(KILLS.map(({ point }) => point))
  const root = new URL('../../../', import.meta.url)
  const others = (
    await Promise.all(OTHER_KILL_TESTS.map((path) => readFile(new URL(path, root), 'utf8')))
  ).join()
  expect(FAIL_POINTS.filter((point) => !killed.has(point) && !others.includes(`'${point}`))).toEqual([])
})

describe.concurrent('processes killed with SIGKILL one after the other', { timeout: 600_000 }, () => {
  test.for(GROUPS)(
    'at %s (%s) leave the same result as without the kills',
    async ([failPoints, name], { expect }) => {
      const system = await createTestSystem()
      const progress = await watchChannel(system)
      const scenario = FAULT_SCENARIOS[name](system)
      const victims = openVictims(system, 'kill', scenario.start)
      try {
        let victim = await victims.next(failPoints[0])
        for (const [index, failPoint] of failPoints.entries())
          await atFailPoint(failPoint, async () => {
            await scenario.begin(index + 1, victims.arm)
            await until(() => !victim.alive(), { what: 'the process is killed', within: WITHIN })
            expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' })
            await scenario.checkDuringFault?.(index + 1)
            victim = await victims.next(failPoints[index + 1])
            await scenario.finish(index + 1)
            expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
            expect(progress.broken()).toEqual([])
          })
      } finally {
        progress.close()
        await system.close()
      }
    },
  )
})
