import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { describe, test } from 'vitest'
import { startFleet } from './driver/fleet.ts'
import { brokenGuarantees } from './guarantees.ts'
import { HEADER, sample } from './production-file.ts'

const WITHIN = 200_000
const PRODUCTION = { dataset: 'production' }

async function ending(system: TestSystem, id: string) {
  const { status, error } = await system.finished(id, WITHIN)
  return { status, code: error?.code ?? null, stage: error?.stage ?? null }
}

const COMPLETED = { status: 'COMPLETED', code: null, stage: null }

describe.concurrent('a file that kills every worker that processes it', { timeout: 300_000 }, () => {
  test('fails after five workers, and the fleet completes all other imports', async ({ expect }) => {
    const system = await createTestSystem()
    // The second import uses up the memory of a worker each time it is validated.
    const fleet = await startFleet(system, 2, {
      ADUANA_FAIL_POINTS: 'stage.before-work:validate/2=exhaust',
      NODE_OPTIONS: '--max-old-space-size=96',
    })
    try {
      const ids: string[] = []
      for (const tag of ['a', 'b', 'c']) ids.push(await system.accept(sample(tag), PRODUCTION))
      const [before = '', poison = '', after = ''] = ids
      expect(await ending(system, before)).toEqual(COMPLETED)
      expect(await ending(system, after)).toEqual(COMPLETED)
      expect(await ending(system, poison)).toEqual({
        status: 'FAILED',
        code: 'worker_lost',
        stage: 'validate',
      })
      expect(await ending(system, await system.accept(sample('d'), PRODUCTION))).toEqual(COMPLETED)
      const dead = system.processes().filter((process) => !process.alive())
      expect(dead).toHaveLength(5)
      for (const process of dead) expect((await process.exited).signal).toBe('SIGABRT')
      expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
    } finally {
      await fleet.stop()
      await system.close()
    }
  })

  test('fails with that reason after one attempt if it needs more memory than one import may use', async ({
    expect,
  }) => {
    const system = await createTestSystem()
    try {
      const worker = await system.startWorker({ ADUANA_ENGINE_MEMORY_MB: '64' })
      const text = 'x'.repeat(400)
      const rows = Array.from(
        { length: 60_000 },
        (_, index) => `2024-01-0${(index % 9) + 1};M001;W0001;1;PVC;P${index};1;1;${index}${text}`,
      )
      const id = await system.accept(`${[HEADER, ...rows].join('\n')}\n`, PRODUCTION)
      const { status, code } = await ending(system, id)
      expect({ status, code }).toEqual({ status: 'FAILED', code: 'engine_out_of_memory' })
      expect(await ending(system, await system.accept(sample('d'), PRODUCTION))).toEqual(COMPLETED)
      expect(worker.alive()).toBe(true)
      expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
    } finally {
      await system.close()
    }
  })
})
