import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import { month, orders, sample, tooManyRejects } from '../production-file.ts'

/** A workload in rounds, counted from 1. In each round a process fails, and the result is checked. */
export interface FaultScenario {
  /** Starts a process that will fail. Earlier processes have ended, or will not fail. */
  start(settings: Record<string, string>): Promise<ProductProcess>
  /** Runs the workload of a round until the newest process reaches its fail point. `arm` makes it fail there. */
  begin(round: number, arm: () => Promise<void>): Promise<void>
  /** Checks, between failure and recovery, that the target contains all of the old or all of the new rows. */
  checkDuringFault?(round: number): Promise<void>
  /** Waits for the end of the round in another process, and checks the result. */
  finish(round: number): Promise<void>
}

export type FaultScenarioName =
  | 'first'
  | 'replacement'
  | 'exchange'
  | 'merge'
  | 'waiting'
  | 'refusal'
  | 'cancellation'
  | 'upload'

const WITHIN = 120_000
const MONTH_ROWS = 50_000
const SAMPLE = { dataset: 'production' }

/** Returns how many rows of each tag the target contains, as `old 300, new 2`. */
export async function tags(system: TestSystem): Promise<string> {
  const rows = await system.database.pool.query<{ tag: string; rows: string }>(
    `select regexp_replace(lote, '[0-9]+$', '') as tag, count(*) as rows from fact_production group by 1 order by 1`,
  )
  return rows.rows.map(({ tag, rows: count }) => `${tag} ${count}`).join(', ')
}

async function jobIds(system: TestSystem): Promise<string[]> {
  const rows = await system.database.pool.query<{ id: string }>('select id from jobs order by created_at, id')
  return rows.rows.map(({ id }) => id)
}

async function allEnd(system: TestSystem, status: string, jobs: number): Promise<void> {
  const ids = await jobIds(system)
  expect(ids).toHaveLength(jobs)
  for (const id of ids) expect((await system.finished(id, WITHIN)).status).toBe(status)
}

/** Returns the tag of the rows of a round: `a_`, `b_` … */
const tagOf = (round: number) => `${String.fromCharCode(96 + round)}_`

/** In each round an import replaces the one before. */
function replacing(
  system: TestSystem,
  { file, dataset, target }: { file: (round: number) => string; dataset: string; target: Target },
): FaultScenario {
  const acceptFile = (round: number) => system.accept(file(round), { dataset })
  return {
    start: system.startWorker,
    begin: async (round, arm) => {
      if (round === 1) expect((await system.finished(await acceptFile(0), WITHIN)).status).toBe('COMPLETED')
      await arm()
      await acceptFile(round)
    },
    checkDuringFault: async (round) =>
      expect([target.expected(round - 1), target.expected(round)]).toContain(await target.found()),
    finish: async (round) => {
      await allEnd(system, 'COMPLETED', round + 1)
      expect(await target.found()).toBe(target.expected(round))
    },
  }
}

/** A summary of the rows of the target, and the expected one after a round. */
interface Target {
  found(): Promise<string | undefined>
  expected(round: number): string
}

const rowsOf = (system: TestSystem, rows: number): Target => ({
  found: () => tags(system),
  expected: (round) => `${tagOf(round + 1)} ${rows}`,
})

const replacement = (system: TestSystem): FaultScenario =>
  replacing(system, {
    file: (round) => sample(tagOf(round + 1)),
    dataset: 'production',
    target: rowsOf(system, 300),
  })

const exchange = (system: TestSystem): FaultScenario =>
  replacing(system, {
    file: (round) => month(tagOf(round + 1), MONTH_ROWS),
    dataset: 'production',
    target: rowsOf(system, MONTH_ROWS),
  })

const merge = (system: TestSystem): FaultScenario =>
  replacing(system, {
    file: (round) => orders(round + 1),
    dataset: 'orders',
    target: {
      expected: (round) => `${round + 1}: 300`,
      found: async () => {
        const found = await system.database.pool.query<{ versions: string }>(
          `select string_agg(distinct items_count::text, ' ') || ': ' || count(*) as versions from order_detail`,
        )
        return found.rows[0]?.versions
      },
    },
  })

/** In each round an import loads another month. */
function first(system: TestSystem): FaultScenario {
  const after = (rounds: number) =>
    Array.from({ length: rounds }, (_, index) => `${tagOf(index + 1)} 300`).join(', ')
  return {
    start: system.startWorker,
    begin: async (round, arm) => {
      await arm()
      const ownMonth = `2024-${String(round).padStart(2, '0')}`
      await system.accept(sample(tagOf(round)).replaceAll('2024-01', ownMonth), SAMPLE)
    },
    checkDuringFault: async (round) => expect([after(round - 1), after(round)]).toContain(await tags(system)),
    finish: async (round) => {
      const id = (await jobIds(system)).at(round - 1) ?? ''
      expect(await system.finished(id, WITHIN)).toMatchObject({
        status: 'COMPLETED',
        counts: { records: 304, loaded: 300, inserted: 300, quarantined: 3, duplicates: 1, removed: 0 },
      })
      expect(await tags(system)).toBe(after(round))
    },
  }
}

/** An import that starts tomorrow holds the window; another import waits for it. */
function waiting(system: TestSystem): FaultScenario {
  const { pool } = system.database
  return {
    start: system.startWorker,
    begin: async (round, arm) => {
      await arm()
      const victim = system.processes().at(-1)
      const window = { from: '2024-01-01', to: '2024-01-04' }
      const startAt = new Date(Date.now() + 86_400_000).toISOString()
      await system.accept(sample(`old${round}_`), { ...SAMPLE, ...window, startAt })
      await system.accept(sample(tagOf(round)), SAMPLE)
      await until(
        async () => {
          if (!victim?.alive()) return true
          const waiters = await pool.query(`select from jobs where waiting_for = 'window'`)
          return waiters.rowCount === 1
        },
        { what: 'the import waits for the window', within: WITHIN },
      )
      await pool.query('update jobs set start_at = now() where start_at > now()')
    },
    finish: async (round) => {
      await allEnd(system, 'COMPLETED', 2 * round)
      expect(await tags(system)).toBe(`${tagOf(round)} 300`)
    },
  }
}

function refusal(system: TestSystem): FaultScenario {
  return {
    start: system.startWorker,
    begin: async (round, arm) => {
      await arm()
      await system.accept(tooManyRejects(tagOf(round)), SAMPLE)
    },
    finish: async (round) => {
      await allEnd(system, 'FAILED', round)
      const stored = await system.database.pool.query('select from quarantined_records')
      expect(stored.rowCount).toBe(10 * round)
      expect(await tags(system)).toBe('')
    },
  }
}

async function heartbeatAfterRequest({ database }: TestSystem): Promise<boolean> {
  const found = await database.pool.query(`select from stage_results s join jobs j on j.id = s.job_id
    where s.state = 'running' and s.heartbeat_at > j.cancel_requested_at`)
  return found.rowCount === 1
}

function cancellation(system: TestSystem): FaultScenario {
  const gate = join(system.dataDir, 'gate')
  return {
    start: (settings) => {
      const { ADUANA_FAIL_POINTS: victimPoint = '' } = settings
      return system.startWorker({
        ADUANA_FAIL_POINTS: `stage.before-work:validate=hold-${gate},${victimPoint}`,
      })
    },
    begin: async (round, arm) => {
      await arm()
      const id = await system.accept(sample(tagOf(round)), SAMPLE)
      await until(() => existsSync(`${gate}.held`), { what: 'the validation has begun', within: WITHIN })
      await cancelJob(system.database.db, system.admin, id)
      await until(() => heartbeatAfterRequest(system), {
        what: 'a heartbeat has returned the request to cancel',
        within: WITHIN,
      })
      await writeFile(gate, '')
    },
    finish: async (round) => {
      await allEnd(system, 'CANCELLED', round)
      expect(await tags(system)).toBe('')
    },
  }
}

/** The API dies while it accepts a file. The client gets no response, and sends the file again. */
function upload(system: TestSystem): FaultScenario {
  let api: TestApi | undefined
  const running = () => {
    if (api === undefined) throw new Error('no API has been started')
    return api
  }
  return {
    start: async (settings) => {
      if (api === undefined) await system.startWorker()
      api = await startApi(system, settings)
      return api.process
    },
    begin: async (round, arm) => {
      await arm()
      await expect(running().upload(sample(tagOf(round)), SAMPLE)).rejects.toThrow('fetch failed')
    },
    finish: async (round) => {
      const accepted = await jobIds(system)
      const again = await running().upload(sample(tagOf(round)), SAMPLE)
      expect(again.status).toBe(accepted.length < round ? 202 : 409)
      await allEnd(system, 'COMPLETED', round)
      expect(await tags(system)).toBe(`${tagOf(round)} 300`)
    },
  }
}

/** The scenarios. Each runs in an installation of its own. */
export const FAULT_SCENARIOS: Record<FaultScenarioName, (system: TestSystem) => FaultScenario> = {
  first,
  replacement,
  exchange,
  merge,
  waiting,
  refusal,
  cancellation,
  upload,
}
