import { cancelJob } from '@aduana/jobs/cancel'
import { startApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import { hopeless, month, orders, sample } from '../production-file.ts'

/** What goes on while a process is killed, and what must come of it. */
export interface Story {
  /** Start the process that will die, with these settings, and bring it to the place where it does. */
  begin(system: TestSystem, settings: Record<string, string>): Promise<ProductProcess>
  /** Between the death and the recovery: what was there before is still there, or all of the new is. */
  meanwhile?(system: TestSystem): Promise<void>
  /** Once workers are there again: wait for the end, and check it. */
  end(system: TestSystem): Promise<void>
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

/** Two imports of the same worker, of which the second is the one that it does not live to end. */
function second(first: string, then: string, form: { dataset: string }): Pick<Story, 'begin'> {
  return {
    begin: async (system, settings) => {
      const doomed = await system.startWorker(settings)
      const id = await system.accept(first, form)
      expect((await system.finished(id, WITHIN)).status).toBe('COMPLETED')
      await system.accept(then, form)
      return doomed
    },
  }
}

function replaced(rows: number, first: string, then: string): Story {
  return {
    ...second(first, then, SAMPLE),
    meanwhile: async (system) => expect([`old ${rows}`, `new ${rows}`]).toContain(await tags(system)),
    end: async (system) => {
      await allEnd(system, 'COMPLETED', 2)
      expect(await tags(system)).toBe(`new ${rows}`)
    },
  }
}

const first: Story = {
  begin: async (system, settings) => {
    const doomed = await system.startWorker(settings)
    await system.accept(sample('new'), SAMPLE)
    return doomed
  },
  meanwhile: async (system) => expect(['', 'new 300']).toContain(await tags(system)),
  end: async (system) => {
    const [id = ''] = await jobIds(system)
    expect(await system.finished(id, WITHIN)).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 304, loaded: 300, inserted: 300, quarantined: 3, duplicates: 1, removed: 0 },
    })
    expect(await tags(system)).toBe('new 300')
  },
}

const versions = async (system: TestSystem) => {
  const found = await system.database.pool.query<{ versions: string }>(
    `select string_agg(distinct items_count::text, ' ') || ': ' || count(*) as versions from order_detail`,
  )
  return found.rows[0]?.versions
}

const merge: Story = {
  ...second(orders(1), orders(2), { dataset: 'orders' }),
  meanwhile: async (system) => expect(['1: 300', '2: 300']).toContain(await versions(system)),
  end: async (system) => {
    await allEnd(system, 'COMPLETED', 2)
    expect(await versions(system)).toBe('2: 300')
  },
}

/** The window belongs to an import that starts tomorrow; the one behind it has to wait. */
const line: Story = {
  begin: async (system, settings) => {
    const window = { from: '2024-01-01', to: '2024-01-04' }
    const startAt = new Date(Date.now() + 86_400_000).toISOString()
    await system.accept(sample('old'), { ...SAMPLE, ...window, startAt })
    await system.accept(sample('new'), SAMPLE)
    const doomed = await system.startWorker(settings)
    await until(
      async () => {
        if (!doomed.alive()) return true
        const waiting = await system.database.pool.query(`select from jobs where waiting_for = 'window'`)
        return waiting.rowCount === 1
      },
      { what: 'the import stands in line', within: WITHIN },
    )
    await system.database.pool.query('update jobs set start_at = now() where start_at is not null')
    return doomed
  },
  end: async (system) => {
    await allEnd(system, 'COMPLETED', 2)
    expect(await tags(system)).toBe('new 300')
  },
}

const refusal: Story = {
  begin: async (system, settings) => {
    const doomed = await system.startWorker(settings)
    await system.accept(hopeless('new'), SAMPLE)
    return doomed
  },
  end: async (system) => {
    await allEnd(system, 'FAILED', 1)
    const stored = await system.database.pool.query('select from quarantined_records')
    expect(stored.rowCount).toBe(10)
    expect(await tags(system)).toBe('')
  },
}

const cancellation: Story = {
  begin: async (system, settings) => {
    const doomed = await system.startWorker(settings)
    const id = await system.accept(month('new', 1_200_000), SAMPLE)
    await until(
      async () => {
        const busy = await system.database.pool.query(`select from stage_results where stage = 'validate'`)
        return busy.rowCount === 1
      },
      { what: 'the validation has begun', within: WITHIN },
    )
    await cancelJob(system.database.db, system.admin, id)
    return doomed
  },
  end: async (system) => {
    await allEnd(system, 'CANCELLED', 1)
    expect(await tags(system)).toBe('')
  },
}

/** The API dies while it accepts a file. Its sender hears nothing, and sends the file again. */
const upload: Story = {
  begin: async (system, settings) => {
    const api = await startApi(system, settings)
    await expect(api.upload(sample('new'), SAMPLE)).rejects.toThrow('fetch failed')
    return api.process
  },
  end: async (system) => {
    const accepted = await jobIds(system)
    const api = await startApi(system)
    try {
      const again = await api.upload(sample('new'), SAMPLE)
      expect(again.status).toBe(accepted.length === 0 ? 202 : 409)
    } finally {
      await api.process.stop()
    }
    await allEnd(system, 'COMPLETED', 1)
    expect(await tags(system)).toBe('new 300')
  },
}

export const STORIES: Record<StoryName, Story> = {
  first,
  replacement: replaced(300, sample('old'), sample('new')),
  exchange: replaced(MONTH_ROWS, month('old', MONTH_ROWS), month('new', MONTH_ROWS)),
  merge,
  line,
  refusal,
  cancellation,
  upload,
}
