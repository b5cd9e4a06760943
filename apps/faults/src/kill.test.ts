import { readFile } from 'node:fs/promises'
import { FAIL_POINTS } from '@aduana/runtime/fail-points'
import { createTestSystem } from '@aduana/testkit/system'
import { describe, expect, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { KILLS, MORE_KILLS, placeOf } from './testing/kills.ts'
import { STORIES } from './testing/stories.ts'

// Nearly all of the time is spent waiting until the work of the dead is taken over.
vi.setConfig({ maxConcurrency: 8 })

test('there is no fail point at which no process is killed', async () => {
  const killed = new Set(KILLS.map(({ point }) => point))
  const root = new URL('../../../', import.meta.url)
  const others = (await Promise.all(MORE_KILLS.map((path) => readFile(new URL(path, root), 'utf8')))).join()
  expect(FAIL_POINTS.filter((point) => !killed.has(point) && !others.includes(`'${point}`))).toEqual([])
})

describe.concurrent('a process killed with SIGKILL', { timeout: 240_000 }, () => {
  test.for(KILLS.map((kill) => [placeOf(kill), kill.story] as const))(
    'at %s (%s) leaves what a run without the kill leaves',
    async ([place, name], { expect }) => {
      const system = await createTestSystem()
      try {
        const story = STORIES[name]
        const doomed = await story.begin(system, { ADUANA_FAIL_POINTS: `${place}=kill` })
        expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
        await story.meanwhile?.(system)
        await system.startWorker()
        await story.end(system)
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        await system.close()
      }
    },
  )
})
