import { sampleHalf } from '@aduana/testkit/long'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { sample } from './production-file.ts'
import { FAULT_SCENARIOS, type FaultScenarioName } from './testing/fault-scenarios.ts'
import { atFailPoint, inGroups, openVictims } from './testing/victims.ts'

vi.setConfig({ maxConcurrency: 5 })

/** Longer than every lock, lease and heartbeat timeout. */
const BLOCKED_MS = 15_000
const WITHIN = 120_000

/** In the syntax of fail points. `%` stands for the number of the replacing import. */
const FREEZES: readonly (readonly [failPoint: string, scenario: FaultScenarioName])[] = [
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

/** Returns everything that a zombie must not change. */
async function state(system: TestSystem): Promise<unknown> {
  const tables = await system.database.pool.query(
    `select (select json_agg(j order by id) from jobs j) as jobs, (select json_agg(f order by id) from fact_production f) as rows,
       (select json_agg(o order by id) from order_detail o) as orders, (select json_agg(q order by id) from quarantined_records q) as rejects,
       (select json_agg(a order by key) from artifacts a) as artifacts, (select json_agg(l order by day) from window_ledger l) as ledger`,
  )
  return tables.rows[0]
}

const RESUMED = /"event":"(stage\.(fenced_out|error|ended)|dispatch\.round_failed)"/

/** Waits until a process logs, after `from` lines, how its interrupted stage attempt ended. */
async function untilAttemptEnded(zombie: ProductProcess, from: number): Promise<void> {
  await until(() => zombie.lines.slice(from).some((line) => RESUMED.test(line)), {
    what: 'the zombie has resumed',
    within: WITHIN,
  })
}

/** Processes that freeze one after the other in one installation. */
const MAX_FREEZES = 4

const names = [...new Set(FREEZES.map(([, scenario]) => scenario))]
const GROUPS = names.flatMap((name) =>
  inGroups(
    sampleHalf(FREEZES.filter(([, scenario]) => scenario === name).map(([failPoint]) => failPoint)),
    MAX_FREEZES,
  ).map((failPoints) => [failPoints, name] as const),
)

describe.concurrent('workers that are frozen for longer than their locks last', { timeout: 600_000 }, () => {
  test.for(GROUPS)(
    'change nothing when they resume, stopped at %s (%s)',
    async ([failPoints, name], { expect }) => {
      const system = await createTestSystem()
      const scenario = FAULT_SCENARIOS[name](system)
      const victims = openVictims(system, 'stop', scenario.start)
      try {
        let zombie = await victims.next(failPoints[0])
        for (const [index, failPoint] of failPoints.entries())
          await atFailPoint(failPoint, async () => {
            await scenario.begin(index + 1, victims.arm)
            await zombie.untilFrozen(WITHIN)
            const other = await victims.next(failPoints[index + 1])
            await scenario.checkDuringFault?.(index + 1)
            await scenario.finish(index + 1)
            const before = await state(system)
            const from = zombie.lines.length
            zombie.signal('SIGCONT')
            await untilAttemptEnded(zombie, from)
            expect(await state(system)).toEqual(before)
            expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
            const [finished, next] = index + 1 < failPoints.length ? [zombie, other] : [other, zombie]
            await finished.stop()
            zombie = next
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
    'load nothing twice when their event loop was blocked at %s (%s)',
    async ([failPoint, name], { expect }) => {
      const system = await createTestSystem()
      const scenario = FAULT_SCENARIOS[name](system)
      const victims = openVictims(system, `block-${BLOCKED_MS}`, scenario.start)
      try {
        await victims.next(failPoint)
        await scenario.begin(1, victims.arm)
        await victims.next()
        await scenario.finish(1)
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      } finally {
        await system.close()
      }
    },
  )
})
