import { randomUUID } from 'node:crypto'
import { holdingRow, untilWaiting } from '@aduana/testkit/waiting'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { after, DATASETS, type Flow, NOON, openFlow } from '../testing/flow.ts'
import { fanOutUpdate } from '../updates/fan-out.ts'
import { expirePendingRuns } from './expire.ts'
import { timeOutRuns } from './heartbeat-timeouts.ts'
import { lockDependentsOf } from './locks.ts'
import { recordHeartbeats } from './runner-events.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
// Fails when transactions have deadlocked.
afterEach(() => flow.drop())

async function datasetId(code: string): Promise<string> {
  const found = await flow.pool.query<{ id: string }>('select id from datasets where code = $1', [code])
  return String(found.rows[0]?.id)
}

/** Inserts an update that a load recorded but that is not fanned out. */
async function loaded(dataset: string, day = '2026-03-09'): Promise<string> {
  const written = await flow.pool.query<{ id: string }>(
    `insert into dataset_updates (dataset_id, event_key, occurred_at, days, rows)
     values ($1, $2, $3, datemultirange(daterange($4::date, $4::date + 1)), 1) returning id`,
    [await datasetId(dataset), randomUUID(), NOON, day],
  )
  return String(written.rows[0]?.id)
}

test('updates of two datasets of one metric are fanned out concurrently without a deadlock', async () => {
  await flow.save({ both: ['production', 'orders'] })
  const [first, second] = [await loaded('production'), await loaded('orders')]
  const orders = await datasetId('orders')
  let passed: Promise<unknown> = Promise.resolve()
  await flow.inTx(async (tx) => {
    await lockDependentsOf(tx, orders)
    // It holds its update and waits for the metric; the run that is made here references that update.
    passed = flow.inTx((other) => fanOutUpdate(other, first))
    await untilWaiting(flow.pool, 1)
    await fanOutUpdate(tx, second)
  })
  await passed
  expect(await flow.runs('both')).toHaveLength(1)
})

/** Changes the id of a run, to determine its lock order. */
async function renamed(from: string, to: string): Promise<string> {
  const client = await flow.pool.connect()
  await client.query('begin; set local session_replication_role = replica')
  await client.query('update metric_runs set id = $2 where id = $1', [from, to])
  await client.query('update run_dataset_updates set run_id = $2 where run_id = $1', [from, to])
  await client.query('commit')
  client.release()
  return to
}

test('a run ends during heartbeats of it and of a dependent run without a deadlock', async () => {
  await flow.save({ base: ['production'], top: ['base'] })
  await flow.update('production')
  const before = await flow.open('base')
  await flow.begin(before.id)
  await flow.finish(before.id)
  const top = await renamed((await flow.open('top')).id, '00000000-0000-4000-8000-000000000001')
  await flow.begin(top)
  await flow.update('production')
  const base = await renamed((await flow.open('base')).id, 'ffffffff-ffff-4fff-bfff-ffffffffffff')
  await flow.begin(base)
  const alive = [base, top].map((runId) => ({ runId, attempt: 1, at: new Date().toISOString() }))
  const transactions: Promise<unknown>[] = []
  await holdingRow(flow.pool, { table: 'metric_runs', id: top }, async () => {
    transactions.push(flow.inTx((tx) => recordHeartbeats(tx, alive)))
    await untilWaiting(flow.pool, 1)
    transactions.push(flow.finish(base))
    await untilWaiting(flow.pool, 2)
  })
  expect(await Promise.all(transactions)).toEqual([['applied', 'applied'], 'applied'])
})

test('updates of three datasets are fanned out four at a time while runs end, without a deadlock', {
  timeout: 120_000,
}, async () => {
  const above = Object.fromEntries(DATASETS.map((dataset) => [`over.${dataset}`, [`of.${dataset}`, 'all']]))
  await flow.save({
    ...Object.fromEntries(DATASETS.map((dataset) => [`of.${dataset}`, [dataset]])),
    all: DATASETS,
    ...above,
  })
  const updates: string[] = []
  for (let day = 1; day <= 10; day++)
    for (const dataset of DATASETS)
      updates.push(await loaded(dataset, `2026-01-${String(day).padStart(2, '0')}`))
  const waiting = [...updates]
  const passOn = async () => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      const update = id
      await flow.inTx((tx) => fanOutUpdate(tx, update))
      await flow.work()
    }
  }
  await Promise.all(Array.from({ length: 4 }, passOn))
  await flow.work()
  const left = await flow.pool.query(
    `select from dataset_updates where fanned_out_at is null
     union all select from metric_runs where status <> 'SUCCEEDED'`,
  )
  expect(left.rowCount).toBe(0)
})

test('a run does not expire if its dataset is updated while the expiry waits for the metric', async () => {
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('production')
  const { id } = await flow.open('both')
  const [orders, update] = [await datasetId('orders'), await loaded('orders')]
  let expired: Promise<string[]> = Promise.resolve([])
  await flow.inTx(async (tx) => {
    await lockDependentsOf(tx, orders)
    expired = flow.inTx((other) => expirePendingRuns(other, new Date(after(7 * 24))))
    await untilWaiting(flow.pool, 1)
    await fanOutUpdate(tx, update)
  })
  expect(await expired).toEqual([])
  expect(await flow.open('both')).toMatchObject({ id, status: 'REQUESTED', error: null })
})

test('a run does not time out if its heartbeat arrives while the time-out waits for the metric', async () => {
  await flow.save({ pieces: ['production'] })
  await flow.update('production')
  const { id } = await flow.open('pieces')
  await flow.begin(id)
  await flow.pool.query(`update metric_runs set last_heartbeat_at = now() - interval '2 minutes'`)
  let silenced: ReturnType<typeof timeOutRuns> | undefined
  await flow.inTx(async (tx) => {
    await lockDependentsOf(tx, await datasetId('production'))
    silenced = flow.inTx((other) => timeOutRuns(other))
    await untilWaiting(flow.pool, 1)
    await flow.inTx((other) =>
      recordHeartbeats(other, [{ runId: id, attempt: 1, at: new Date().toISOString() }]),
    )
  })
  expect(await silenced).toEqual({ timedOut: [], failed: [], requestedAgain: [] })
  expect(await flow.open('pieces')).toMatchObject({ id, status: 'RUNNING' })
})
