import { inTransaction } from '@aduana/db/database'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type JobsDatabase, lockedJob, openJobsDatabase } from '../testing/jobs.ts'
import { forgetBackend, holdFence, type Lease, recordBackend, renewLease, takeLease } from './leases.ts'
import { claimWindows } from './windows.ts'

let database: JobsDatabase
let jobId: string
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.clear()
  jobId = await database.addJob()
  const datasetId = await database.datasetId('production')
  const windows = ['A', 'B'].map((scope) => ({ scope, from: '2024-01-01', to: '2024-02-01' }))
  const claim = await inTransaction(database.db, async (tx) =>
    claimWindows(tx, { job: await lockedJob(tx, jobId), datasetId, windows }),
  )
  expect(claim).toEqual({ kind: 'held' })
})

async function take(holder: string): Promise<Lease> {
  const lease = await takeLease(database.db, jobId, holder)
  if (!lease) throw new Error(`${holder} got no lease`)
  return lease
}

// Not earlier: a transaction must count as begun before the lease expired.
const expire = () => database.pool.query('update window_leases set expires_at = clock_timestamp()')
const holds = (lease: Lease) => inTransaction(database.db, (tx) => holdFence(tx, lease))

test('an unexpired lease keeps other processes out', async () => {
  const lease = await take('one')
  expect(await takeLease(database.db, jobId, 'two')).toBeUndefined()
  expect(await holds(lease)).toBe(true)
})

test('a heartbeat keeps a lease alive', async () => {
  const lease = await take('one')
  await expire()
  expect(await renewLease(database.db, lease)).toBe(true)
  expect(await takeLease(database.db, jobId, 'two')).toBeUndefined()
})

test('an expired lease is taken over with a higher fence, and the former holder is fenced out', async () => {
  const first = await take('one')
  await expire()
  const second = await take('two')
  expect(BigInt(second.fence)).toBeGreaterThan(BigInt(first.fence))
  expect(await holds(first)).toBe(false)
  expect(await renewLease(database.db, first)).toBe(false)
  expect(await holds(second)).toBe(true)
  expect(await renewLease(database.db, second)).toBe(true)
})

test('the same process may take its lease again, which fences out its own earlier attempt', async () => {
  const first = await take('one')
  const again = await take('one')
  expect(await holds(first)).toBe(false)
  expect(await holds(again)).toBe(true)
})

test('all locks of the job carry the fence', async () => {
  const { fence } = await take('one')
  const locks = await database.pool.query('select fence from window_locks where job_id = $1', [jobId])
  expect(locks.rows).toEqual([{ fence }, { fence }])
})

test('of many concurrent takeovers of an expired lease, one succeeds', async () => {
  await take('one')
  await expire()
  const leases = await Promise.all(
    Array.from({ length: 20 }, (_, n) => takeLease(database.db, jobId, `process ${n}`)),
  )
  expect(leases.filter(Boolean)).toHaveLength(1)
})

/** A process that is frozen inside the transaction of its load. */
async function frozen(lease: Lease) {
  const client = new pg.Client({ connectionString: database.url })
  let ended = false
  client.on('error', () => undefined)
  client.on('end', () => {
    ended = true
  })
  await client.connect()
  const backend = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const pid = backend.rows[0]?.pid ?? 0
  await recordBackend(database.db, lease, pid)
  await client.query('begin')
  await client.query('select from window_locks where job_id = $1 for update', [jobId])
  return { client, pid, ended: () => ended }
}

test('a takeover terminates the connection of a process that is frozen inside its load', async () => {
  const old = await frozen(await take('one'))
  await expire()
  const second = await take('two')
  await until(() => old.ended(), { what: 'the frozen connection has ended', within: 5000 })
  expect(await holds(second)).toBe(true)
})

test('an unexpired lease protects the connection of its process', async () => {
  const old = await frozen(await take('one'))
  try {
    expect(await takeLease(database.db, jobId, 'two')).toBeUndefined()
    expect((await old.client.query('select 1 as n')).rows).toEqual([{ n: 1 }])
  } finally {
    await old.client.end()
  }
})

test('a takeover does not terminate another connection that has got the same process id', async () => {
  const old = await frozen(await take('one'))
  try {
    await old.client.query('commit')
    await database.pool.query(`update window_leases set backend_start = backend_start - interval '1 day'`)
    await expire()
    await take('two')
    expect((await old.client.query('select 1 as n')).rows).toEqual([{ n: 1 }])
  } finally {
    await old.client.end()
  }
})

test('a takeover does not terminate a connection that has ended its load', async () => {
  const old = await frozen(await take('one'))
  try {
    await old.client.query('rollback')
    await expire()
    await take('two')
    expect((await old.client.query('select 1 as n')).rows).toEqual([{ n: 1 }])
  } finally {
    await old.client.end()
  }
})

test('a takeover does not terminate a connection that has since begun other work', async () => {
  const lease = await take('one')
  const old = await frozen(lease)
  try {
    await old.client.query('rollback')
    await forgetBackend(database.db, lease)
    await old.client.query('begin')
    await old.client.query('select 1')
    await expire()
    await take('two')
    expect((await old.client.query('select 1 as n')).rows).toEqual([{ n: 1 }])
  } finally {
    await old.client.end()
  }
})

test('a process that was fenced out cannot record its connection', async () => {
  const first = await take('one')
  await expire()
  await take('two')
  const backend = await database.pool.query<{ pid: number }>('select pg_backend_pid() as pid')
  await recordBackend(database.db, first, backend.rows[0]?.pid ?? 0)
  const lease = await database.pool.query('select backend_pid from window_leases where job_id = $1', [jobId])
  expect(lease.rows).toEqual([{ backend_pid: null }])
})
