import { sampleHalf } from '@aduana/testkit/long'
import { createTestSystem } from '@aduana/testkit/system'
import { describe, test, vi } from 'vitest'
import { brokenGuarantees } from '../guarantees.ts'
import { lostOrDoubledRuns } from '../testing/metrics/accounts.ts'
import { followUntilSettled } from '../testing/metrics/follow.ts'
import { METRIC_STORIES, type MetricStoryName } from '../testing/metrics/stories.ts'
import { openFreshness } from './freshness.ts'

// Nearly all of the time is spent waiting until the work of the dead is taken over.
vi.setConfig({ maxConcurrency: 4 })

const KILLS: readonly (readonly [place: string, story: MetricStoryName])[] = [
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

describe.concurrent('every metric has the values of the tables or says why not', { timeout: 300_000 }, () => {
  test.for(sampleHalf(KILLS))(
    'after a kill at %s (%s), at once and until it has them',
    async ([place, name], { expect }) => {
      const system = await createTestSystem({ metrics: true })
      const freshness = await openFreshness(system, name === 'expiry' ? ['shipped', 'scenario'] : ['shipped'])
      try {
        const story = METRIC_STORIES[name]
        const doomed = await story.begin(system, { ADUANA_FAIL_POINTS: `${place}=kill` })
        expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await story.meanwhile?.(system)
        expect(await freshness.unexplained()).toEqual([])
        await system.startWorker()
        await followUntilSettled(system, freshness)
        await story.end?.(system)
        await followUntilSettled(system, freshness)
        expect(await freshness.differences()).toEqual([])
        expect(await lostOrDoubledRuns(system.database.pool)).toEqual([])
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        await freshness.close()
        await system.close()
      }
    },
  )
})
