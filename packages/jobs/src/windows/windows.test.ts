import { inTransaction, type Tx } from '@aduana/db/database'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { admit, wakeWaiters } from '../dispatch/dispatch.ts'
import { countStatements, type JobsDatabase, lockedJob, openJobsDatabase } from '../testing/jobs.ts'
import {
  claimWindows,
  isWindowLocked,
  type Obstacle,
  releaseWindows,
  unblockedWaiters,
  type Window,
  waitForWindows,
} from './windows.ts'

let database: JobsDatabase
let production: string
let orders: string
let jobs: string[]
beforeAll(async () => {
  database = await openJobsDatabase()
  production = await database.datasetId('production')
  orders = (await database.pool.query(`select id from datasets where code <> 'production' limit 1`)).rows[0]
    ?.id
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.clear()
  jobs = []
  for (let n = 1; n <= 4; n += 1) jobs.push(await database.addJob())
})

const days = (from: string | null, to: string | null, scope = ''): Window => ({ scope, from, to })
const JANUARY = days('2024-01-01', '2024-02-01')
const WHOLE = days(null, null)
const job = (n: number) => jobs[n - 1] ?? ''

const claimAs = async (tx: Tx, jobId: string, windows: Window[], datasetId = production) =>
  claimWindows(tx, { job: await lockedJob(tx, jobId), datasetId, windows })
/** Claims a window, or waits for it. */
const standInLine = async (tx: Tx, jobId: string, windows: Window[]) => {
  const claim = { job: await lockedJob(tx, jobId), datasetId: production, windows }
  const result = await claimWindows(tx, claim)
  if (result.kind === 'taken') return waitForWindows(tx, claim, result)
  await tx.deleteFrom('window_locks').where('job_id', '=', jobId).execute()
  await waitForWindows(tx, claim, { by: jobId, because: 'held' })
  await tx.updateTable('window_waiters').set({ blocked_by: null }).where('job_id', '=', jobId).execute()
}

const claim = (n: number, windows: Window | Window[], datasetId = production) =>
  inTransaction(database.db, (tx) => claimAs(tx, job(n), [windows].flat(), datasetId))
const wait = (n: number, windows: Window | Window[]) =>
  inTransaction(database.db, (tx) => standInLine(tx, job(n), [windows].flat()))
const release = (n: number) => inTransaction(database.db, (tx) => releaseWindows(tx, job(n)))
const locked = (window: Window, datasetId = production) => isWindowLocked(database.db, datasetId, window)
const held = { kind: 'held' }
const takenBy = (n: number, because: Obstacle['because'] = 'held') => ({ kind: 'taken', by: job(n), because })

describe('a window that a job holds', () => {
  beforeEach(async () => {
    expect(await claim(1, JANUARY)).toEqual(held)
  })

  test.each([
    ['the same days', JANUARY],
    ['its first day', days('2024-01-01', '2024-01-02')],
    ['its last day', days('2024-01-31', '2024-02-01')],
    ['days that reach into it', days('2023-12-01', '2024-01-02')],
    ['days around it', days('2023-01-01', '2025-01-01')],
    ['everything', WHOLE],
  ])('is locked for %s', async (_, window) => {
    expect(await locked(window)).toBe(true)
    expect(await claim(2, window)).toEqual(takenBy(1))
  })

  test.each([
    ['the days before it', days('2023-12-01', '2024-01-01')],
    ['the days after it', days('2024-02-01', '2024-03-01')],
    ['the same days of another scope', { ...JANUARY, scope: 'ACME' }],
  ])('leaves %s free', async (_, window) => {
    expect(await locked(window)).toBe(false)
    expect(await claim(2, window)).toEqual(held)
  })

  test('leaves the same days of another dataset free', async () => {
    expect(await locked(JANUARY, orders)).toBe(false)
    expect(await claim(2, JANUARY, orders)).toEqual(held)
  })

  test('can be claimed again by its job, which changes nothing', async () => {
    const locks = () => database.pool.query('select id, fence from window_locks').then(({ rows }) => rows)
    const before = await locks()
    expect(await claim(1, JANUARY)).toEqual(held)
    expect(await claim(1, days('2024-01-05', '2024-01-06'))).toEqual(held)
    expect(await locks()).toEqual(before)
  })

  test('does not include a wider one: the job must claim the rest as well', async () => {
    expect(await claim(2, days('2024-02-01', '2024-02-02'))).toEqual(held)
    expect(await claim(1, days('2024-01-01', '2024-02-02'))).toEqual(takenBy(2))
  })

  test('stays with its job although another waits for it', async () => {
    await wait(2, JANUARY)
    expect(await claim(1, JANUARY)).toEqual(held)
  })

  test('is free once it is released, and dispatchers are notified', async () => {
    const client = await database.pool.connect()
    try {
      const told = new Promise((resolve) =>
        client.once('notification', (message) => resolve(message.channel)),
      )
      await client.query('listen aduana_dispatch')
      await release(1)
      expect(await told).toBe('aduana_dispatch')
    } finally {
      await client.query('unlisten *')
      client.release()
    }
    expect(await locked(JANUARY)).toBe(false)
    expect(await claim(2, JANUARY)).toEqual(held)
  })
})

test('windows are claimed all or none', async () => {
  const [a, b, c] = ['A', 'B', 'C'].map((scope) => ({ ...JANUARY, scope }))
  if (!a || !b || !c) throw new Error('three scopes')
  await claim(1, b)
  expect(await claim(2, [a, b, c])).toEqual(takenBy(1))
  expect(await locked(a)).toBe(false)
  expect(await claim(3, [a, c])).toEqual(held)
})

test('jobs that wait for a window get it in the order in which they were accepted', async () => {
  await claim(1, JANUARY)
  await wait(3, days('2024-01-31', '2024-02-02'))
  await wait(2, JANUARY)
  await release(1)
  expect(await claim(4, days('2024-01-10', '2024-01-11'))).toEqual(takenBy(2, 'waited-for'))
  expect(await claim(4, days('2024-02-01', '2024-02-02'))).toEqual(takenBy(3, 'waited-for'))
  expect(await claim(3, days('2024-01-31', '2024-02-02'))).toEqual(takenBy(2, 'waited-for'))
  expect(await claim(2, JANUARY)).toEqual(held)
  await release(2)
  expect(await claim(3, days('2024-01-31', '2024-02-02'))).toEqual(held)
})

test('unblocked waiters are returned in the order in which they were accepted', async () => {
  await claim(1, JANUARY)
  for (const n of [4, 2, 3]) await wait(n, days(`2024-01-0${n}`, `2024-01-0${n + 1}`))
  expect(await unblockedWaiters(database.db)).toEqual([])
  await release(1)
  expect(await unblockedWaiters(database.db)).toEqual([job(2), job(3), job(4)])
})

test('a job that waits again keeps its place', async () => {
  await claim(1, JANUARY)
  await wait(2, JANUARY)
  await wait(3, JANUARY)
  await wait(2, JANUARY)
  await release(1)
  expect(await claim(3, JANUARY)).toEqual(takenBy(2, 'waited-for'))
})

test('a waiter that ends no longer blocks the ones behind it', async () => {
  await claim(1, JANUARY)
  await wait(2, JANUARY)
  await wait(3, JANUARY)
  await release(2)
  await release(1)
  expect(await claim(3, JANUARY)).toEqual(held)
})

test('of many concurrent claims of a window, one succeeds', async () => {
  const many = await Promise.all(Array.from({ length: 30 }, () => database.addJob()))
  const results = await Promise.all(
    many.map((jobId, n) =>
      inTransaction(database.db, (tx) =>
        claimAs(tx, jobId, [days('2024-01-01', `2024-01-${10 + (n % 20)}`)]),
      ),
    ),
  )
  expect(results.filter((result) => result.kind === 'held')).toHaveLength(1)
})

describe('an import that finds its days in its file', () => {
  const accept = async (form: Record<string, string> = {}) => {
    const id = await database.accept(form)
    await database.pool.query(`update jobs set status = 'PROCESSING', attempt = 1 where id = $1`, [id])
    return id
  }
  const claimFor = (jobId: string, window: Window) =>
    inTransaction(database.db, (tx) => claimAs(tx, jobId, [window]))
  const finds = (jobId: string, range: string) =>
    database.pool.query('update imports set found_window = $2 where job_id = $1', [jobId, range])

  test('waits for one that was accepted earlier and is still reading its own', async () => {
    const [earlier, later] = [await accept(), await accept()]
    expect(await claimFor(later, JANUARY)).toEqual({ kind: 'taken', by: earlier, because: 'not-known-yet' })
    expect(await claimFor(earlier, JANUARY)).toEqual(held)
    await finds(earlier, '[2024-01-01,2024-02-01)')
    expect(await claimFor(later, JANUARY)).toEqual({ kind: 'taken', by: earlier, because: 'held' })
    expect(await claimFor(later, days('2024-02-01', '2024-02-02'))).toEqual(held)
  })

  test.each([
    ['is final', `update jobs set status = 'CANCELLED', completed_at = now() where id = $1`],
    ['is not in work', `update jobs set status = 'QUEUED' where id = $1`],
    ['only tries', 'update jobs set dry_run = true where id = $1'],
    ['waits for something else', `update jobs set waiting_for = 'approval' where id = $1`],
    ['appends', `update imports set mode = 'append' where job_id = $1`],
    [
      'has a declared window',
      `update imports set declared_window = '[2023-01-01,2023-01-02)' where job_id = $1`,
    ],
  ])('does not wait for an earlier one that %s', async (_, change) => {
    const [earlier, later] = [await accept(), await accept()]
    await database.pool.query(change, [earlier])
    expect(await claimFor(later, JANUARY)).toEqual(held)
  })

  test('does not wait for earlier ones that are admitted after it, so that one tenant does not delay another', async () => {
    const [earlier, later] = [await accept(), await accept()]
    const admit = (id: string) =>
      database.pool.query('update jobs set started_at = clock_timestamp() where id = $1', [id])
    await admit(later)
    await admit(earlier)
    expect(await claimFor(later, JANUARY)).toEqual(held)
  })

  test('does not wait for one that was accepted later, or is of another dataset', async () => {
    const [other, earlier] = [await accept({ dataset: 'orders' }), await accept()]
    await accept()
    expect(other).not.toBe(earlier)
    expect(await claimFor(earlier, JANUARY)).toEqual(held)
  })
})

describe('waking waiters', () => {
  const waiting = () =>
    database.pool
      .query(
        'select id, waiting_for, admitted_at from jobs where id = any ($1) order by array_position($1, id)',
        [jobs],
      )
      .then(({ rows }) => rows)
  beforeEach(async () => {
    await database.pool.query(
      `update jobs set waiting_for = 'window', status = 'PROCESSING', admitted_at = now() where id <> $1`,
      [job(1)],
    )
    await claim(1, JANUARY)
    await wait(2, JANUARY)
    await wait(3, JANUARY)
    await wait(4, days('2024-03-01', '2024-04-01'))
  })

  test('gives a free window to the first waiter, which can be admitted again', async () => {
    await wakeWaiters(database.db)
    expect((await waiting()).map((row) => row.waiting_for)).toEqual([null, 'window', 'window', null])
    await release(1)
    await wakeWaiters(database.db)
    const rows = await waiting()
    expect(rows.map((row) => row.waiting_for)).toEqual([null, null, 'window', null])
    expect(rows[1].admitted_at).toBeNull()
    expect(rows[2].admitted_at).not.toBeNull()
    expect(await claim(3, JANUARY)).toEqual(takenBy(2))
  })

  test('wakes neither a job that was cancelled nor one that another dispatcher has woken', async () => {
    await release(1)
    await database.pool.query(
      `delete from window_waiters where job_id = $1; `.replace('$1', `'${job(2)}'`) +
        `update jobs set status = 'CANCELLED', waiting_for = null, completed_at = now() where id = '${job(2)}'`,
    )
    await wakeWaiters(database.db)
    const admitted = await admit(database.db, { maxActive: 10, maxActivePerTenant: 10 })
    expect(admitted.map((flow) => flow.jobId).sort()).toEqual([job(1), job(3), job(4)].sort())
    await wakeWaiters(database.db)
    expect(await admit(database.db, { maxActive: 10, maxActivePerTenant: 10 })).toEqual([])
    const locks = await database.pool.query('select job_id from window_locks order by id')
    expect(locks.rows.map((row) => row.job_id).sort()).toEqual([job(3), job(4)].sort())
  })

  test('costs as many statements when two hundred wait as when ten do', async () => {
    const counting = countStatements(database.pool)
    const costs: number[] = []
    for (const waiters of [10, 200]) {
      await database.clear()
      const line = await Promise.all(Array.from({ length: waiters + 1 }, () => database.addJob()))
      await database.pool.query(
        `update jobs set created_at = now() + n * interval '1 second'
        from unnest($1::uuid[]) with ordinality as line(id, n) where jobs.id = line.id`,
        [line],
      )
      const [holder = '', ...behind] = line
      await inTransaction(database.db, (tx) => claimAs(tx, holder, [JANUARY]))
      for (const id of behind) {
        await inTransaction(database.db, (tx) => standInLine(tx, id, [JANUARY]))
        await database.pool.query(`update jobs set waiting_for = 'window' where id = $1`, [id])
      }
      await inTransaction(database.db, (tx) => releaseWindows(tx, holder))
      counting.reset()
      await wakeWaiters(counting.db)
      costs.push(counting.statements())
      expect(await locked(JANUARY)).toBe(true)
      await wakeWaiters(counting.db)
      expect(counting.statements()).toBe((costs.at(-1) ?? 0) + 1)
    }
    expect(costs[1]).toBe(costs[0])
  })

  test('by several processes at once gives each window once', async () => {
    await release(1)
    await Promise.all(Array.from({ length: 6 }, () => wakeWaiters(database.db)))
    const locks = await database.pool.query('select job_id from window_locks order by id')
    expect(locks.rows.map((row) => row.job_id).sort()).toEqual([job(2), job(4)].sort())
    expect((await waiting()).map((row) => row.waiting_for)).toEqual([null, null, 'window', null])
  })
})
