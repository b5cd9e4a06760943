import { readFile } from 'node:fs/promises'
import { FAIL_POINTS } from '@aduana/runtime/fail-points'
import { sampleHalf } from '@aduana/testkit/long'
import { createTestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, expect, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { watchChannel } from './progress/channel.ts'
import { KILLS, MORE_KILLS, placeOf } from './testing/kills.ts'
import { atPlace, inLanes, openLane } from './testing/lane.ts'
import { STORIES, type StoryName } from './testing/stories.ts'

// Nearly all of the time is spent waiting until the work of the dead is taken over.
vi.setConfig({ maxConcurrency: 5 })

const WITHIN = 120_000
/** Each takes over from the one before: so many die in one installation. */
const MOST_DEATHS = 6

const names = [...new Set(KILLS.map(({ story }) => story))]
const LANES: [places: string[], story: StoryName][] = names.flatMap((name) =>
  inLanes(sampleHalf(KILLS.filter(({ story }) => story === name).map(placeOf)), MOST_DEATHS).map(
    (places): [string[], StoryName] => [places, name],
  ),
)

test('there is no fail point at which no process is killed', async () => {
  const killed = new Set(KILLS.map(({ point }) => point))
  const root = new URL('../../../', import.meta.url)
  const others = (await Promise.all(MORE_KILLS.map((path) => readFile(new URL(path, root), 'utf8')))).join()
  expect(FAIL_POINTS.filter((point) => !killed.has(point) && !others.includes(`'${point}`))).toEqual([])
})

describe.concurrent('processes killed with SIGKILL one after the other', { timeout: 600_000 }, () => {
  test.for(LANES)(
    'at %s (%s) leave what a run without the kills leaves',
    async ([places, name], { expect }) => {
      const system = await createTestSystem()
      const progress = await watchChannel(system)
      const story = STORIES[name](system)
      const lane = openLane(system, 'kill', story.start)
      try {
        let doomed = await lane.next(places[0])
        for (const [index, place] of places.entries())
          await atPlace(place, async () => {
            await story.begin(index + 1, lane.fail)
            await until(() => !doomed.alive(), { what: 'the process is killed', within: WITHIN })
            expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
            await story.meanwhile?.(index + 1)
            doomed = await lane.next(places[index + 1])
            await story.end(index + 1)
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
