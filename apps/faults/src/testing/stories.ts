import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import { hopeless, month, orders, sample } from '../production-file.ts'

/** What goes on in an installation, turn by turn from 1, while a process fails in each, and what must come of it. */
export interface Story {
  /** Start a process that will fail. Those that were started before it have ended, or will not be the ones to fail. */
  start(settings: Record<string, string>): Promise<ProductProcess>
  /** Bring the newest process to the place where it fails; after `fail` it does when it passes it. */
  begin(turn: number, fail: () => Promise<void>): Promise<void>
  /** Between the failure and the recovery: what was there before is still there, or all of the new is. */
  meanwhile?(turn: number): Promise<void>
  /** Once another process is there: wait for the end, and check it. */
  end(turn: number): Promise<void>
}

export type StoryName =
  | 'first'
  | 'replacement'
  | 'exchange'
  | 'merge'
  | 'line'
  | 'refusal'
  | 'cancellation'
  | 'upload'

const WITHIN = 120_000
const MONTH_ROWS = 50_000
const SAMPLE = { dataset: 'production' }

/** How many rows of each tag the target holds, as `old 300, new 2`. */
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

/** The tag of the rows that a turn brings: `a_`, `b_` … */
const tagOf = (turn: number) => `${String.fromCharCode(96 + turn)}_`

/** In each turn an import takes the place of the one before. */
function replacing(
  system: TestSystem,
  { file, dataset, holds }: { file: (turn: number) => string; dataset: string; holds: Holds },
): Story {
  const bring = (turn: number) => system.accept(file(turn), { dataset })
  return {
    start: system.startWorker,
    begin: async (turn, fail) => {
      if (turn === 1) expect((await system.finished(await bring(0), WITHIN)).status).toBe('COMPLETED')
      await fail()
      await bring(turn)
    },
    meanwhile: async (turn) => expect([holds.of(turn - 1), holds.of(turn)]).toContain(await holds.found()),
    end: async (turn) => {
      await allEnd(system, 'COMPLETED', turn + 1)
      expect(await holds.found()).toBe(holds.of(turn))
    },
  }
}

/** What the target holds, in words, and what it is to hold after a turn. */
interface Holds {
  found(): Promise<string | undefined>
  of(turn: number): string
}

const rowsOf = (system: TestSystem, rows: number): Holds => ({
  found: () => tags(system),
  of: (turn) => `${tagOf(turn + 1)} ${rows}`,
})

const replacement = (system: TestSystem): Story =>
  replacing(system, {
    file: (turn) => sample(tagOf(turn + 1)),
    dataset: 'production',
    holds: rowsOf(system, 300),
  })

const exchange = (system: TestSystem): Story =>
  replacing(system, {
    file: (turn) => month(tagOf(turn + 1), MONTH_ROWS),
    dataset: 'production',
    holds: rowsOf(system, MONTH_ROWS),
  })

const merge = (system: TestSystem): Story =>
  replacing(system, {
    file: (turn) => orders(turn + 1),
    dataset: 'orders',
    holds: {
      of: (turn) => `${turn + 1}: 300`,
      found: async () => {
        const found = await system.database.pool.query<{ versions: string }>(
          `select string_agg(distinct items_count::text, ' ') || ': ' || count(*) as versions from order_detail`,
        )
        return found.rows[0]?.versions
      },
    },
  })

/** In each turn an import brings a month of its own. */
function first(system: TestSystem): Story {
  const after = (turns: number) =>
    Array.from({ length: turns }, (_, index) => `${tagOf(index + 1)} 300`).join(', ')
  return {
    start: system.startWorker,
    begin: async (turn, fail) => {
      await fail()
      const ownMonth = `2024-${String(turn).padStart(2, '0')}`
      await system.accept(sample(tagOf(turn)).replaceAll('2024-01', ownMonth), SAMPLE)
    },
    meanwhile: async (turn) => expect([after(turn - 1), after(turn)]).toContain(await tags(system)),
    end: async (turn) => {
      const id = (await jobIds(system)).at(turn - 1) ?? ''
      expect(await system.finished(id, WITHIN)).toMatchObject({
        status: 'COMPLETED',
        counts: { records: 304, loaded: 300, inserted: 300, quarantined: 3, duplicates: 1, removed: 0 },
      })
      expect(await tags(system)).toBe(after(turn))
    },
  }
}

/** The window belongs to an import that starts tomorrow; the one behind it has to wait. */
function line(system: TestSystem): Story {
  const { pool } = system.database
  return {
    start: system.startWorker,
    begin: async (turn, fail) => {
      await fail()
      const doomed = system.processes().at(-1)
      const window = { from: '2024-01-01', to: '2024-01-04' }
      const startAt = new Date(Date.now() + 86_400_000).toISOString()
      await system.accept(sample(`old${turn}_`), { ...SAMPLE, ...window, startAt })
      await system.accept(sample(tagOf(turn)), SAMPLE)
      await until(
        async () => {
          if (!doomed?.alive()) return true
          const waiting = await pool.query(`select from jobs where waiting_for = 'window'`)
          return waiting.rowCount === 1
        },
        { what: 'the import stands in line', within: WITHIN },
      )
      await pool.query('update jobs set start_at = now() where start_at > now()')
    },
    end: async (turn) => {
      await allEnd(system, 'COMPLETED', 2 * turn)
      expect(await tags(system)).toBe(`${tagOf(turn)} 300`)
    },
  }
}

function refusal(system: TestSystem): Story {
  return {
    start: system.startWorker,
    begin: async (turn, fail) => {
      await fail()
      await system.accept(hopeless(tagOf(turn)), SAMPLE)
    },
    end: async (turn) => {
      await allEnd(system, 'FAILED', turn)
      const stored = await system.database.pool.query('select from quarantined_records')
      expect(stored.rowCount).toBe(10 * turn)
      expect(await tags(system)).toBe('')
    },
  }
}

function cancellation(system: TestSystem): Story {
  const gate = join(system.dataDir, 'gate')
  return {
    start: (settings) => {
      const { ADUANA_FAIL_POINTS: own = '' } = settings
      return system.startWorker({ ADUANA_FAIL_POINTS: `stage.before-work:validate=hold-${gate},${own}` })
    },
    begin: async (turn, fail) => {
      await fail()
      const id = await system.accept(sample(tagOf(turn)), SAMPLE)
      await until(() => existsSync(`${gate}.held`), { what: 'the validation has begun', within: WITHIN })
      await cancelJob(system.database.db, system.admin, id)
      await writeFile(gate, '')
    },
    end: async (turn) => {
      await allEnd(system, 'CANCELLED', turn)
      expect(await tags(system)).toBe('')
    },
  }
}

/** The API dies while it accepts a file. Its sender hears nothing, and sends the file again. */
function upload(system: TestSystem): Story {
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
    begin: async (turn, fail) => {
      await fail()
      await expect(running().upload(sample(tagOf(turn)), SAMPLE)).rejects.toThrow('fetch failed')
    },
    end: async (turn) => {
      const accepted = await jobIds(system)
      const again = await running().upload(sample(tagOf(turn)), SAMPLE)
      expect(again.status).toBe(accepted.length < turn ? 202 : 409)
      await allEnd(system, 'COMPLETED', turn)
      expect(await tags(system)).toBe(`${tagOf(turn)} 300`)
    },
  }
}

/** The stories, each to be told in an installation of its own. */
export const STORIES: Record<StoryName, (system: TestSystem) => Story> = {
  first,
  replacement,
  exchange,
  merge,
  line,
  refusal,
  cancellation,
  upload,
}
