import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stageQueueName } from '@aduana/contracts/stages'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { describe, expect, test } from 'vitest'
import { brokenGuarantees } from './guarantees.ts'
import { month, sample } from './production-file.ts'
import { watchChannel } from './progress/channel.ts'
import { type SocketWatch, watchSocket } from './progress/socket.ts'
import { tags } from './testing/fault-scenarios.ts'

const WITHIN = 120_000
const PRODUCTION = { dataset: 'production' }

async function withSystem(work: (system: TestSystem) => Promise<void>): Promise<void> {
  const system = await createTestSystem()
  const channel = await watchChannel(system)
  let client: SocketWatch | undefined
  try {
    client = await watchSocket(system)
    await work(system)
    expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
    expect(await client.broken()).toEqual([])
    expect(channel.broken()).toEqual([])
    expect(channel.messages()).toBeGreaterThan(0)
  } finally {
    channel.close()
    await client?.close()
    await system.close()
  }
}

async function allComplete(system: TestSystem, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { status, error } = await system.finished(id, WITHIN)
    expect({ status, error }).toEqual({ status: 'COMPLETED', error: null })
  }
}

async function found(system: TestSystem, sql: string, what: string): Promise<void> {
  await until(async () => (await system.database.pool.query(sql)).rowCount !== 0, { what, within: WITHIN })
}

/** Returns a file with a month of its own, so that no import waits for another. */
const ownMonth = (index: number, rows: number) =>
  month(`m${index}_`, rows).replaceAll('2024-01', `2024-${String(index + 1).padStart(2, '0')}`)

const ADMITTED = /"event":"dispatch\.admitted","jobId":"([^"]+)","attempt":(\d+)/

const CLOCK = fileURLToPath(new URL('testing/clock.mjs', import.meta.url))
const hourOff = (hours: number) => ({
  NODE_OPTIONS: `--import=${CLOCK}`,
  CLOCK_OFFSET_MS: String(hours * 3_600_000),
})

describe('a fleet', { timeout: 300_000 }, () => {
  test('that is stopped during a load releases all work, and no try is counted', () =>
    withSystem(async (system) => {
      const fleet = await Promise.all([1, 2].map(() => system.startWorker()))
      const ids = await Promise.all(
        [0, 1, 2].map((index) => system.accept(ownMonth(index, 30_000), PRODUCTION)),
      )
      await found(system, `select from stage_results where stage = 'load'`, 'a load has begun')
      for (const worker of fleet) worker.signal('SIGTERM')
      for (const worker of fleet) expect(await worker.exited).toEqual({ code: 0, signal: null })
      const left = await system.database.pool.query(
        `select stage, state from stage_results where state in ('running', 'failed')`,
      )
      expect(left.rows).toEqual([])
      await system.startWorker()
      await allComplete(system, ids)
    }))

  test('with concurrent dispatchers admits each import once', () =>
    withSystem(async (system) => {
      const cards = (index: number) =>
        `fecha;trabajador_codigo;centro_costo;horas_ordinarias\n2024-01-${10 + (index % 20)};T${index};CC1;8\n`
      await Promise.all([1, 2, 3].map(() => system.startWorker()))
      const ids = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          system
            .accept(ownMonth(index, 20 + index), { ...PRODUCTION, mode: 'append' })
            .then((id) => system.accept(cards(index), { dataset: 'dkt' }).then((other) => [id, other])),
        ),
      )
      await allComplete(system, ids.flat())
      const admitted = system
        .processes()
        .flatMap(({ lines }) => lines.flatMap((line) => ADMITTED.exec(line)?.slice(1).join(' ') ?? []))
      expect(admitted.length).toBeGreaterThanOrEqual(16)
      expect(new Set(admitted).size).toBe(admitted.length)
    }))

  test.for([1, -1])('with one clock that is %i hour off keeps its windows and leases', (hours) =>
    withSystem(async (system) => {
      const off = await system.startWorker({
        ...hourOff(hours),
        ADUANA_FAIL_POINTS: 'load.before-commit:2=kill',
      })
      await system.startWorker()
      const ids = await Promise.all(
        Array.from({ length: 4 }, (_, index) => system.accept(sample(`t${index}_`), PRODUCTION)),
      )
      await allComplete(system, ids)
      expect(await tags(system)).toMatch(/^t\d_ 300$/)
      await off.stop()
    }),
  )

  test('resumes a load that a worker with a clock an hour ahead postponed before it died', () =>
    withSystem(async (system) => {
      const ahead = await system.startWorker({ ...hourOff(1), ADUANA_FAIL_POINTS: 'load.during-copy=hang' })
      const id = await system.accept(sample('t'), PRODUCTION)
      await found(system, `select from stage_results where stage = 'load'`, 'the load has begun')
      const cut = `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query ilike 'copy %' and state = 'active'`
      await found(system, cut, 'the connection of the load is cut')
      await ahead.untilLogged('stage.error', WITHIN)
      const { redis, prefix } = system.redis
      await until(async () => (await redis.zcard(`${prefix}:${stageQueueName('load')}:delayed`)) === 1, {
        what: 'the try is postponed',
        within: WITHIN,
      })
      ahead.signal('SIGKILL')
      await system.startWorker()
      await allComplete(system, [id])
    }))

  test('loses no import when Redis loses all its data while they run', () =>
    withSystem(async (system) => {
      await Promise.all([1, 2].map(() => system.startWorker()))
      const ids: string[] = []
      for (let index = 0; index < 6; index += 1) {
        ids.push(await system.accept(sample(`r${index}_`), PRODUCTION))
        if (index % 3 === 1) await system.redis.wipe()
      }
      await found(system, `select from stage_results where state = 'done'`, 'a stage is done')
      await system.redis.wipe()
      await allComplete(system, ids)
      expect(await tags(system)).toMatch(/^r\d+_ 300$/)
    }))

  test('loads one import at a time into a window', () =>
    withSystem(async (system) => {
      await Promise.all([1, 2].map(() => system.startWorker()))
      const ids = await Promise.all(
        Array.from({ length: 5 }, (_, index) => system.accept(sample(`w${index}_`), PRODUCTION)),
      )
      await allComplete(system, ids)
      const loads = await system.database.pool.query<{ loaded_at: Date; completed_at: Date }>(
        `select loaded_at, completed_at from jobs order by loaded_at`,
      )
      for (const [index, load] of loads.rows.slice(1).entries())
        expect(load.loaded_at.getTime()).toBeGreaterThanOrEqual(
          loads.rows[index]?.completed_at.getTime() ?? Number.NaN,
        )
      expect(await tags(system)).toMatch(/^w\d_ 300$/)
    }))

  test('leaves no rows of an import that is cancelled during its load', () =>
    withSystem(async (system) => {
      const gate = join(system.dataDir, 'gate')
      await system.startWorker({ ADUANA_FAIL_POINTS: `load.during-copy=hold-${gate}` })
      const id = await system.accept(sample('c_'), PRODUCTION)
      await until(() => existsSync(`${gate}.held`), { what: 'the load copies', within: WITHIN })
      await cancelJob(system.database.db, system.admin, id)
      await writeFile(gate, '')
      expect((await system.finished(id, WITHIN)).status).toBe('CANCELLED')
      expect(await tags(system)).toBe('')
    }))
})
