import { sampleHalf } from '@aduana/testkit/long'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { sample } from './production-file.ts'
import { atPlace, inLanes, openLane } from './testing/lane.ts'
import { STORIES, type StoryName } from './testing/stories.ts'

vi.setConfig({ maxConcurrency: 5 })

/** Longer than every lock, lease and heartbeat lives. */
const BLOCKED_MS = 15_000
const WITHIN = 120_000

/** As fail points want them; `%` stands for the number of the import that takes the place of another. */
const FREEZES: readonly (readonly [place: string, story: StoryName])[] = [
  ['stage.before-work:parse/%', 'replacement'],
  ['stage.before-commit:parse/%', 'replacement'],
  ['stage.before-work:validate/%', 'replacement'],
  ['stage.before-commit:validate/%', 'replacement'],
  ['artifact.before-rename:clean.parquet', 'first'],
  ['quarantine.after-copy', 'first'],
  ['stage.before-commit:quarantine/%', 'replacement'],
  ['stage.before-work:load/%', 'replacement'],
  ['load.during-copy:%', 'replacement'],
  ['load.before-commit:%', 'replacement'],
  ['load.before-commit:%', 'exchange'],
  ['load.before-commit:%', 'merge'],
  ['load.after-commit:%', 'replacement'],
  ['stage.before-commit:fan-out/%', 'replacement'],
  ['stage.before-fail', 'refusal'],
  ['dispatch.before-commit', 'first'],
]

const BLOCKS: typeof FREEZES = [
  ['stage.before-work:validate/%', 'replacement'],
  ['load.before-commit:%', 'replacement'],
]

/** Everything that a zombie must not change. */
async function state(system: TestSystem): Promise<unknown> {
  const tables = await system.database.pool.query(
    `select (select json_agg(j order by id) from jobs j) as jobs, (select json_agg(f order by id) from fact_production f) as rows,
       (select json_agg(o order by id) from order_detail o) as orders, (select json_agg(q order by id) from quarantined_records q) as rejects,
       (select json_agg(a order by key) from artifacts a) as artifacts, (select json_agg(l order by day) from window_ledger l) as ledger`,
  )
  return tables.rows[0]
}

const GOES_ON = /"event":"(stage\.(fenced_out|error|ended)|dispatch\.round_failed)"/

/** Wait until a process logs, after `from` lines, how the stage attempt that it was in the middle of has ended. */
async function untilAttemptEnded(zombie: ProductProcess, from: number): Promise<void> {
  await until(() => zombie.lines.slice(from).some((line) => GOES_ON.test(line)), {
    what: 'the zombie has gone on',
    within: WITHIN,
  })
}

/** Each freezes after the one before has gone on: so many in one installation. */
const MOST_FREEZES = 4

const names = [...new Set(FREEZES.map(([, story]) => story))]
const LANES = names.flatMap((name) =>
  inLanes(
    sampleHalf(FREEZES.filter(([, story]) => story === name).map(([place]) => place)),
    MOST_FREEZES,
  ).map((places) => [places, name] as const),
)

describe.concurrent('workers that stand still longer than their locks live', { timeout: 600_000 }, () => {
  test.for(LANES)(
    'stopped at %s (%s), change nothing when they go on',
    async ([places, name], { expect }) => {
      const system = await createTestSystem()
      const story = STORIES[name](system)
      const lane = openLane(system, 'stop', story.start)
      try {
        let zombie = await lane.next(places[0])
        for (const [index, place] of places.entries())
          await atPlace(place, async () => {
            await story.begin(index + 1, lane.fail)
            await zombie.untilFrozen(WITHIN)
            const other = await lane.next(places[index + 1])
            await story.meanwhile?.(index + 1)
            await story.end(index + 1)
            const before = await state(system)
            const from = zombie.lines.length
            zombie.signal('SIGCONT')
            await untilAttemptEnded(zombie, from)
            expect(await state(system)).toEqual(before)
            expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
            const [leaves, goesOn] = index + 1 < places.length ? [zombie, other] : [other, zombie]
            await leaves.stop()
            zombie = goesOn
          })
        const id = await system.accept(sample('later'), { dataset: 'production' })
        expect((await system.finished(id, WITHIN)).status).toBe('COMPLETED')
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        for (const process of system.processes()) process.signal('SIGCONT')
        await system.close()
      }
    },
  )

  test.for(sampleHalf(BLOCKS))(
    'their event loop blocked at %s (%s), load nothing twice',
    async ([place, name], { expect }) => {
      const system = await createTestSystem()
      const story = STORIES[name](system)
      const lane = openLane(system, `block-${BLOCKED_MS}`, story.start)
      try {
        await lane.next(place)
        await story.begin(1, lane.fail)
        await lane.next()
        await story.end(1)
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        await system.close()
      }
    },
  )
})
