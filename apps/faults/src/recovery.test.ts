import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sampleHalf } from '@aduana/testkit/long'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, test, vi } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { sample } from './production-file.ts'

vi.setConfig({ maxConcurrency: 4 })

const WITHIN = 120_000
const PRODUCTION = { dataset: 'production' }
const STAGES = ['parse', 'validate', 'quarantine', 'load', 'fan-out']
const HOLD_POINTS = [
  ...STAGES.map((stage) => `stage.before-work:${stage}/2`),
  'load.before-commit:2',
  ...['parse', 'validate', 'quarantine'].map((stage) => `stage.after-commit:${stage}/2`),
]

interface Scene {
  system: TestSystem
  /** The worker that holds the import `id` at the fail point. */
  holder: ProductProcess
  other: ProductProcess
  id: string
  /** Resumes the holder. */
  release(): Promise<void>
}

/** Runs `work` while one worker holds an import at a fail point and another is idle. */
async function hold(failPoint: string, work: (scene: Scene) => Promise<void>): Promise<void> {
  const system = await createTestSystem()
  try {
    const gate = join(system.dataDir, 'gate')
    const holder = await system.startWorker({ ADUANA_FAIL_POINTS: `${failPoint}=hold-${gate}` })
    const first = await system.import(sample('old'), PRODUCTION)
    if (first.status !== 'COMPLETED') throw new Error(`the first import is ${first.status}`)
    const id = await system.accept(sample('new'), PRODUCTION)
    await until(() => existsSync(`${gate}.held`), { what: 'the worker is at the fail point', within: WITHIN })
    const other = await system.startWorker()
    await work({ system, holder, other, id, release: () => writeFile(gate, '') })
  } finally {
    for (const process of system.processes()) process.signal('SIGCONT')
    await system.close()
  }
}

async function lostAttempts({ system, id }: Scene) {
  const { rows } = await system.database.pool.query<{ stage: string; lost_because: string | null }>(
    `select stage, lost_because from stage_results where job_id = $1 and state = 'lost' order by started_at`,
    [id],
  )
  return rows
}

const indexOf = ({ lines }: ProductProcess, ...parts: string[]) =>
  lines.findIndex((line) => parts.every((part) => line.includes(part)))
const sessions = ({ lines }: ProductProcess) =>
  lines.filter((line) => line.includes('"event":"worker.session_opened"')).length
const terminateSession = async ({ system, holder }: Scene) => {
  const line = holder.lines.findLast((one) => one.includes('"event":"worker.session_opened"'))
  const { pgPid } = JSON.parse(line ?? '{}')
  await system.database.pool.query('select pg_terminate_backend($1)', [pgPid])
}

describe.concurrent('the work of a worker', { timeout: 300_000 }, () => {
  test.for(sampleHalf(HOLD_POINTS))(
    'that is killed at %s is taken over as soon as its session ends, before BullMQ reports it as stalled',
    (failPoint, { expect }) =>
      hold(failPoint, async (scene) => {
        const { system, holder, other, id } = scene
        holder.signal('SIGKILL')
        expect((await system.finished(id, WITHIN)).status).toBe('COMPLETED')
        const taken = indexOf(other, '"event":"dispatch.work_lost"', 'session ended')
        expect(taken).toBeGreaterThan(-1)
        expect(indexOf(other, '"event":"queue.stalled"', id)).toSatisfy(
          (stalled: number) => stalled === -1 || stalled > taken,
        )
        const [point, stage = ''] = failPoint.split(/[:/]/)
        const lost =
          point === 'stage.after-commit' ? [] : [{ stage: point === 'load.before-commit' ? 'load' : stage }]
        expect(await lostAttempts(scene)).toEqual(
          lost.map((one) => ({ ...one, lost_because: 'session ended' })),
        )
        expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
      }),
  )

  test('that is frozen is taken over when its heartbeat times out, and not before', ({ expect }) =>
    hold('stage.before-work:validate/2', async (scene) => {
      const { system, holder, other, id, release } = scene
      holder.signal('SIGSTOP')
      await release()
      expect((await system.finished(id, WITHIN)).status).toBe('COMPLETED')
      expect(await lostAttempts(scene)).toEqual([{ stage: 'validate', lost_because: 'heartbeat timed out' }])
      expect(indexOf(other, '"event":"worker.ended"')).toBe(-1)
      holder.signal('SIGCONT')
      await holder.untilLogged('stage.fenced_out', WITHIN)
      expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
    }))

  test('whose session is terminated repeatedly is not taken over while the worker lives', ({ expect }) =>
    hold('stage.before-work:validate/2', async (scene) => {
      const { system, holder, other, id, release } = scene
      for (let times = 1; times <= 5; times += 1) {
        await terminateSession(scene)
        await until(() => sessions(holder) === times + 1, { what: 'it has a session again', within: WITHIN })
      }
      // Another worker dies, so that all sessions are checked twice.
      const canary = await system.startWorker()
      canary.signal('SIGKILL')
      const deaths = () =>
        [holder, other].flatMap(({ lines }) =>
          lines.filter((line) => line.includes('"event":"worker.ended"')),
        )
      await until(() => deaths().length > 0, { what: 'the death is noticed', within: WITHIN })
      await release()
      expect(await system.finished(id, WITHIN)).toMatchObject({ status: 'COMPLETED' })
      expect(await lostAttempts(scene)).toEqual([])
      expect(deaths()).toHaveLength(1)
      expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
    }))

  test('that loses its session while it is frozen is taken over, and the worker changes nothing when it resumes', ({
    expect,
  }) =>
    hold('stage.before-work:validate/2', async (scene) => {
      const { system, holder, other, id, release } = scene
      holder.signal('SIGSTOP')
      await holder.untilFrozen()
      await terminateSession(scene)
      await release()
      await other.untilLogged('worker.ended', WITHIN)
      expect((await system.finished(id, WITHIN)).status).toBe('COMPLETED')
      holder.signal('SIGCONT')
      await holder.untilLogged('stage.fenced_out', WITHIN)
      await until(() => sessions(holder) === 2, { what: 'it has a session again', within: WITHIN })
      expect(await lostAttempts(scene)).toEqual([{ stage: 'validate', lost_because: 'session ended' }])
      expect((await system.import(sample('later'), PRODUCTION)).status).toBe('COMPLETED')
      expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
    }))
})
