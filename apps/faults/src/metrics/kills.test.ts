import { sampleHalf } from '@aduana/testkit/long'
import { createTestSystem } from '@aduana/testkit/system'
import { describe, test, vi } from 'vitest'
import { brokenGuarantees } from '../guarantees.ts'
import { checkUntilSettled } from '../testing/metrics/check-until-settled.ts'
import { KILL_SCENARIOS, type KillScenarioName } from '../testing/metrics/kill-scenarios.ts'
import { lostOrDuplicateRuns } from '../testing/metrics/run-checks.ts'
import { openMetricOracle } from './oracle.ts'

// Most of the time is spent waiting until the work of dead processes is taken over.
vi.setConfig({ maxConcurrency: 4 })

const KILLS: readonly (readonly [failPoint: string, scenario: KillScenarioName])[] = [
  ['load.before-commit', 'import'],
  ['load.after-commit', 'import'],
  ['stage.before-work:fan-out', 'import'],
  ['stage.before-commit:fan-out', 'import'],
  ['stage.after-commit:fan-out', 'import'],
  ['queue.before-acknowledge:fan-out', 'import'],
  ['outbox.after-send', 'import'],
  ['metrics.after-claim', 'import'],
  ['metrics.before-commit', 'import'],
  ['metrics.after-commit', 'import'],
  ['undo.before-commit', 'undo'],
  ['undo.after-commit', 'undo'],
  ['projection.before-commit', 'projection'],
  ['projection.after-commit', 'projection'],
  ['metrics.before-requeue', 'stopping'],
  ['metrics.after-time-out', 'silence'],
  ['metrics.after-expire', 'expiry'],
]

describe.concurrent('every metric is correct or reported as incomplete', { timeout: 300_000 }, () => {
  test.for(sampleHalf(KILLS))(
    'after a kill at %s (%s), and is correct once all work has ended',
    async ([failPoint, name], { expect }) => {
      const system = await createTestSystem({ metrics: true })
      const oracle = await openMetricOracle(system, name === 'expiry' ? ['shipped', 'scenario'] : ['shipped'])
      try {
        const scenario = KILL_SCENARIOS[name]
        const victim = await scenario.begin(system, { ADUANA_FAIL_POINTS: `${failPoint}=kill` })
        expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await scenario.duringFault?.(system)
        expect(await oracle.unreported()).toEqual([])
        await system.startWorker()
        await checkUntilSettled(system, oracle)
        await scenario.afterwards?.(system)
        await checkUntilSettled(system, oracle)
        expect(await oracle.differences()).toEqual([])
        expect(await lostOrDuplicateRuns(system.database.pool)).toEqual([])
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        await oracle.close()
        await system.close()
      }
    },
  )
})
