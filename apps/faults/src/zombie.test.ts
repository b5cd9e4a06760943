import type { ProductProcess } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { sample } from './production-file.ts'
import { STORIES, type StoryName } from './testing/stories.ts'

vi.setConfig({ maxConcurrency: 8 })

/** Longer than every lock, lease and heartbeat lives. */
const BLOCKED_MS = 15_000
const WITHIN = 120_000

const FREEZES: readonly (readonly [place: string, story: StoryName])[] = [
  ['stage.before-work:parse/2', 'replacement'],
  ['stage.before-commit:parse/2', 'replacement'],
  ['stage.before-work:validate/2', 'replacement'],
  ['stage.before-commit:validate/2', 'replacement'],
  ['artifact.before-rename:clean.parquet', 'first'],
  ['quarantine.after-copy', 'first'],
  ['stage.before-commit:quarantine/2', 'replacement'],
  ['stage.before-work:load/2', 'replacement'],
  ['load.during-copy:2', 'replacement'],
  ['load.before-commit:2', 'replacement'],
  ['load.before-commit:2', 'exchange'],
  ['load.before-commit:2', 'merge'],
  ['load.after-commit:2', 'replacement'],
  ['stage.before-commit:fan-out/2', 'replacement'],
  ['stage.before-fail', 'refusal'],
  ['dispatch.before-commit', 'first'],
]

const BLOCKS: typeof FREEZES = [
  ['stage.before-work:validate/2', 'replacement'],
  ['load.before-commit:2', 'replacement'],
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

/** Wait until a process logs, after `from` lines, how the run that it was in the middle of has ended. */
async function untilRunEnded(zombie: ProductProcess, from: number): Promise<void> {
  await until(() => zombie.lines.slice(from).some((line) => GOES_ON.test(line)), {
    what: 'the zombie has gone on',
    within: WITHIN,
  })
}

describe.concurrent('a worker that stands still longer than its locks live', { timeout: 240_000 }, () => {
  test.for(FREEZES)(
    'stopped at %s (%s), changes nothing when it goes on',
    async ([place, name], { expect }) => {
      const system = await createTestSystem()
      try {
        const story = STORIES[name]
        const zombie = await story.begin(system, { ADUANA_FAIL_POINTS: `${place}=stop` })
        await zombie.untilFrozen(WITHIN)
        const other = await system.startWorker()
        await story.meanwhile?.(system)
        await story.end(system)
        const before = await state(system)
        const from = zombie.lines.length
        zombie.signal('SIGCONT')
        await untilRunEnded(zombie, from)
        expect(await state(system)).toEqual(before)
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
        await other.stop()
        const id = await system.accept(sample('later'), { dataset: 'production' })
        expect((await system.finished(id, WITHIN)).status).toBe('COMPLETED')
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        for (const process of system.processes()) process.signal('SIGCONT')
        await system.close()
      }
    },
  )

  test.for(BLOCKS)(
    'its event loop blocked at %s (%s), loads nothing twice',
    async ([place, name], { expect }) => {
      const system = await createTestSystem()
      try {
        const story = STORIES[name]
        await story.begin(system, { ADUANA_FAIL_POINTS: `${place}=block-${BLOCKED_MS}` })
        await system.startWorker()
        await story.end(system)
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        await system.close()
      }
    },
  )
})
