import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { countOutstandingRuns } from '../read/completeness.ts'
import { readRun } from '../read/runs.ts'
import { after, day, type Flow, openFlow } from '../testing/flow.ts'
import { pruneUpdates } from '../updates/prune.ts'
import { expirePendingRuns } from './expire.ts'
import { retryRun } from './manual.ts'
import { pruneRuns } from './prune.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
afterEach(() => flow.drop())

/** All that there is now is a hundred days old. */
const LATER = () => ({ days: 90, now: new Date(Date.now() + 100 * 86_400_000) })
/** Marks all requests as sent, then prunes a hundred days later. */
async function removeRuns(): Promise<number> {
  await flow.pool.query('update event_log set sent_at = now() where outbound')
  return pruneRuns(flow.db, LATER())
}
const count = async (table: string) =>
  (await flow.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`)).rows[0]?.n
const statuses = async (code: string) => (await flow.runs(code)).map(({ status }) => status)
/** An update at some hour, computed. */
async function computed(hour: number, from = '2026-03-09'): Promise<void> {
  await flow.update('production', { at: after(hour), days: day(from) })
  await flow.work()
}
/** An update at some hour, whose run fails. */
async function failed(hour: number, from = '2026-03-09'): Promise<string> {
  await flow.update('production', { at: after(hour), days: day(from) })
  const run = await flow.open('pieces')
  await flow.begin(run.id)
  await flow.finish(run.id, { status: 'failed', error: { code: 'broken', detail: 'x' } })
  return run.id
}

describe('an old run', () => {
  beforeEach(() => flow.save({ pieces: ['production'] }))

  test('is removed with its inputs, and reading it reports that; the last run of its metric stays', async () => {
    for (const hour of [0, 1, 2]) await computed(hour)
    const [first, , last] = await flow.runs('pieces')
    expect(await pruneRuns(flow.db, { days: 90, now: new Date() })).toBe(0)
    expect(await removeRuns()).toBe(2)
    expect((await flow.runs('pieces')).map(({ id }) => id)).toEqual([last?.id])
    expect(await count('run_dataset_updates')).toBe(1)
    const admin = { userId: first?.id ?? '', email: 'a@b.c', role: 'admin', tenant: 'default' } as const
    await expect(
      readRun(flow.db, { ...admin, companies: null, warehouses: null }, first?.id ?? ''),
    ).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('Old runs are removed'),
    })
  })

  test('stays while a value of its metric is from it', async () => {
    for (const hour of [0, 1]) await computed(hour)
    const [first] = await flow.runs('pieces')
    await flow.pool.query(
      `insert into daily_metrics (date, metric_name, value, run_id) values ('2026-03-09', 'pieces', 1, $1)`,
      [first?.id],
    )
    expect(await removeRuns()).toBe(0)
    await flow.pool.query('delete from daily_metrics')
    expect(await removeRuns()).toBe(1)
  })

  test('stays while a destination has not accepted its request', async () => {
    for (const hour of [0, 1]) await computed(hour)
    expect(await pruneRuns(flow.db, LATER())).toBe(0)
    expect(await removeRuns()).toBe(1)
  })

  test('stays while it is open, and while it has left days uncomputed', async () => {
    await computed(0)
    await failed(1, '2026-03-01')
    await computed(2)
    await flow.update('production', { at: after(3) })
    expect(await removeRuns()).toBe(1)
    expect(await statuses('pieces')).toEqual(['FAILED', 'SUCCEEDED', 'REQUESTED'])
    expect((await countOutstandingRuns(flow.db)).get('FAILED')).toBe(1)
  })

  test('that makes up for an earlier one is removed after it, so that those days never count as uncomputed again', async () => {
    await failed(0)
    for (const hour of [1, 2]) await computed(hour)
    for (const left of [['SUCCEEDED', 'SUCCEEDED'], ['SUCCEEDED'], ['SUCCEEDED']]) {
      await removeRuns()
      expect(await statuses('pieces')).toEqual(left)
      expect((await countOutstandingRuns(flow.db)).get('FAILED')).toBe(0)
    }
  })

  test('that is being retried stays, and pruning does not wait for it', async () => {
    await failed(0)
    for (const hour of [1, 2]) await computed(hour)
    const [first] = await flow.runs('pieces')
    await flow.inTx(async (tx) => {
      await retryRun(tx, first?.id ?? '', null)
      expect(await removeRuns()).toBe(0)
    })
    expect(await statuses('pieces')).toEqual(['REQUESTED', 'SUCCEEDED', 'SUCCEEDED'])
  })

  test('of a retired metric is removed even if it has left days uncomputed, except the last one', async () => {
    await failed(0)
    await failed(1)
    expect(await removeRuns()).toBe(0)
    await flow.pool.query('update metrics set retired_at = now()')
    expect(await removeRuns()).toBe(1)
  })
})

test('an expired run is removed before the run that has taken it over', async () => {
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('production')
  await flow.inTx((tx) => expirePendingRuns(tx, new Date(after(7 * 24))))
  for (const hour of [8 * 24, 8 * 24 + 1]) {
    await flow.update('production', { at: after(hour) })
    await flow.update('orders', { at: after(hour) })
    await flow.work()
  }
  const [expired] = await flow.runs('both')
  expect(expired?.taken_over_by).not.toBeNull()
  const before = (await flow.runs('both')).length
  expect(await statuses('both')).toContain('EXPIRED')
  await removeRuns()
  expect(await statuses('both')).not.toContain('EXPIRED')
  await removeRuns()
  expect((await flow.runs('both')).length).toBe(1)
  expect(before).toBeGreaterThan(2)
})

describe('an old update', () => {
  beforeEach(() => flow.save({ pieces: ['production'] }))
  const prune = () => pruneUpdates(flow.db, LATER())

  test('is removed after the runs that were computed from it; the last update of its dataset stays', async () => {
    for (const hour of [0, 1, 2]) await computed(hour)
    expect(await prune()).toBe(0)
    await removeRuns()
    expect(await pruneUpdates(flow.db, { days: 90, now: new Date() })).toBe(0)
    expect(await prune()).toBe(2)
    expect(await prune()).toBe(0)
    expect(await count('dataset_updates')).toBe(1)
  })

  test('stays while it is not fanned out, and while an import of its dataset waits for approval', async () => {
    for (const hour of [0, 1, 2]) await computed(hour)
    await removeRuns()
    await flow.pool.query(`with one as (select id from dataset_updates order by occurred_at limit 1)
      update dataset_updates u set fanned_out_at = null from one where u.id = one.id`)
    const { rows } = await flow.pool.query<{ id: string }>(`with owner as (
        insert into users (email, password_hash, role) values ('a@b.c', 'none', 'admin') returning id)
      insert into jobs (type, status, waiting_for, user_id, tenant, dataset_id, approval_asked_at)
        select 'import', 'PROCESSING', 'approval', owner.id, 'default', d.id, now()
        from owner, datasets d where d.code = 'production' returning id`)
    expect(await prune()).toBe(0)
    await flow.pool.query(`update jobs set status = 'CANCELLED', waiting_for = null, completed_at = now()
      where id = '${rows[0]?.id}'`)
    expect(await prune()).toBe(1)
    expect(await count('dataset_updates')).toBe(2)
  })
})
