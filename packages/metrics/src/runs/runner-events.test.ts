import { randomUUID } from 'node:crypto'
import { MAX_ATTEMPTS } from '@aduana/contracts/metrics/runs'
import { ProblemError } from '@aduana/contracts/problems'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { day, type Flow, openFlow } from '../testing/flow.ts'
import { timeOutRuns } from './heartbeat-timeouts.ts'
import { cancelRun, requestRecompute, retryRun } from './manual.ts'
import { completeRun, RunEventError, recordHeartbeat, requeueRuns, startRun } from './runner-events.ts'

let flow: Flow
let runId: string
beforeEach(async () => {
  flow = await openFlow()
  await flow.save({ pieces: ['production'] })
  await flow.update('production')
  runId = (await flow.open('pieces')).id
})
afterEach(() => flow.drop())

const at = new Date().toISOString()
const started = (attempt = 1, id = runId) =>
  flow.inTx((tx) => startRun(tx, { runId: id, attempt, at, runner: 'one' }))
const alive = (attempt = 1, progress?: number, id = runId) =>
  flow.inTx((tx) =>
    recordHeartbeat(tx, { runId: id, attempt, at, ...(progress === undefined ? {} : { progress }) }),
  )
const completed = (attempt = 1, id = runId) =>
  flow.inTx((tx) =>
    completeRun(tx, { runId: id, attempt, at, status: 'succeeded', rowCount: 3, days: day('2026-03-09') }),
  )
const failed = (attempt = 1) =>
  flow.inTx((tx) =>
    completeRun(tx, { runId, attempt, at, status: 'failed', error: { code: 'broken', detail: 'no luck' } }),
  )
const run = async () => (await flow.pool.query('select * from metric_runs where id = $1', [runId])).rows[0]
const later = (seconds: number) => new Date(Date.now() + seconds * 1000)
const silence = (seconds: number) => flow.inTx((tx) => timeOutRuns(tx, later(seconds)))
const problem = (code: string) => (error: unknown) => error instanceof ProblemError && error.code === code

test('a run starts, sends heartbeats and ends, and each step is logged', async () => {
  expect(await started()).toBe('applied')
  expect(await run()).toMatchObject({ status: 'RUNNING', runner: 'one', started_at: expect.any(Date) })
  expect(await alive(1, 0.5)).toBe('applied')
  expect(await run()).toMatchObject({ progress: '0.5000' })
  expect(await completed()).toBe('applied')
  expect(await run()).toMatchObject({ status: 'SUCCEEDED', row_count: '3', progress: '1.0000' })
  expect(await flow.events(runId)).toEqual([
    'aduana.metric_run.requested',
    'metric_run.started',
    'metric_run.succeeded',
  ])
})

test('repeated events change nothing', async () => {
  await started()
  expect(await started()).toBe('duplicate')
  await completed()
  const before = await run()
  expect([await completed(), await failed(), await started(), await alive()]).toEqual(Array(4).fill('ended'))
  expect(await run()).toEqual(before)
})

test('events may arrive in any order', async () => {
  expect(await alive(1, 0.7)).toBe('applied')
  expect(await alive(1, 0.2)).toBe('applied')
  expect(await run()).toMatchObject({ status: 'RUNNING', progress: '0.7000', started_at: expect.any(Date) })
  expect(await started()).toBe('applied')
  expect(await run()).toMatchObject({ runner: 'one', progress: '0.7000' })
  expect(await started()).toBe('duplicate')
  expect(await completed()).toBe('applied')
})

test('a run without a started event can be completed', async () => {
  expect(await completed()).toBe('applied')
  expect(await started()).toBe('ended')
  expect(await run()).toMatchObject({ status: 'SUCCEEDED', started_at: expect.any(Date) })
})

test('concurrent completions count once', async () => {
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => completed()))
  expect(outcomes.sort()).toEqual(['applied', ...Array(5).fill('ended')])
})

test.each([
  ['unknown_run', () => started(1, randomUUID())],
  ['unknown_attempt', () => completed(2)],
])('an event that can never be true is refused as %s', async (code, send) => {
  await expect(send()).rejects.toSatisfy((error) => error instanceof RunEventError && error.code === code)
})

test('a run without heartbeats times out, is requested again after a while, and its old attempt no longer counts', async () => {
  await started()
  expect(await silence(59)).toMatchObject({ timedOut: [] })
  expect(await silence(61)).toMatchObject({ timedOut: [runId], failed: [], requestedAgain: [] })
  expect(await run()).toMatchObject({ status: 'TIMED_OUT', retry_at: expect.any(Date) })
  expect([await started(), await alive()]).toEqual(['overtaken', 'overtaken'])
  expect(await silence(70)).toMatchObject({ requestedAgain: [] })
  expect(await silence(72)).toMatchObject({ requestedAgain: [runId] })
  expect(await run()).toMatchObject({ status: 'REQUESTED', attempt: 2, started_at: null })
  expect(await completed(1)).toBe('overtaken')
  expect(await completed(2)).toBe('applied')
})

test('a completion that arrives just after the time-out counts', async () => {
  await started()
  await silence(61)
  expect(await completed()).toBe('applied')
  expect(await silence(7200)).toEqual({ timedOut: [], failed: [], requestedAgain: [] })
})

test('a run that is never started times out later than one without heartbeats', async () => {
  expect(await silence(299)).toMatchObject({ timedOut: [] })
  expect(await silence(301)).toMatchObject({ timedOut: [runId] })
})

test('a run is requested a limited number of times, then fails and can be retried', async () => {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    await started(attempt)
    const last = attempt === MAX_ATTEMPTS
    expect(await silence(61)).toMatchObject({ timedOut: [runId], failed: last ? [runId] : [] })
    await silence(61 + 3600)
  }
  expect(await run()).toMatchObject({ status: 'FAILED', error: { code: 'no_sign_of_life' } })
  expect(await flow.inTx((tx) => retryRun(tx, runId, null))).toBe(runId)
  expect(await run()).toMatchObject({ status: 'REQUESTED', attempt: MAX_ATTEMPTS + 1, error: null })
})

test('a run that is requested again includes later updates', async () => {
  await started()
  await silence(61)
  await flow.update('production', { days: day('2026-03-01') })
  expect(await run()).toMatchObject({ next_days: expect.stringContaining('2026-03-01') })
  await silence(120)
  const request = await flow.request(runId)
  expect(request.days).toEqual([...day('2026-03-01'), ...day('2026-03-09')])
  expect(request.inputs).toHaveLength(2)
})

test('a failed run can be retried; if another run is open, that run takes over its days', async () => {
  await failed()
  expect(await run()).toMatchObject({ status: 'FAILED', error: { code: 'broken' } })
  await flow.update('production', { days: day('2026-03-01') })
  const open = await flow.open('pieces')
  expect(await flow.inTx((tx) => retryRun(tx, runId, null))).toBe(open.id)
  expect((await flow.request(open.id)).days).toEqual([...day('2026-03-01'), ...day('2026-03-09')])
  const again = flow.inTx((tx) => retryRun(tx, runId, null))
  await expect(again).rejects.toSatisfy(problem('illegal_run_transition'))
})

test('only failed or expired runs are retried, and only open runs are cancelled', async () => {
  const retry = () => flow.inTx((tx) => retryRun(tx, runId, null))
  await expect(retry()).rejects.toSatisfy(problem('illegal_run_transition'))
  await completed()
  await expect(retry()).rejects.toSatisfy(problem('illegal_run_transition'))
  const cancel = flow.inTx((tx) => cancelRun(tx, runId, null))
  await expect(cancel).rejects.toSatisfy(problem('illegal_run_transition'))
  const cancelled = flow.inTx((tx) => cancelRun(tx, randomUUID(), null))
  await expect(cancelled).rejects.toSatisfy(problem('not_found'))
})

test('the runner of a cancelled run is notified, and its completion is refused', async () => {
  await started()
  await flow.inTx((tx) => cancelRun(tx, runId, null))
  expect([await alive(), await completed()]).toEqual(['ended', 'ended'])
  expect(await run()).toMatchObject({ status: 'CANCELLED', row_count: null })
})

test('a user can recompute any range without waiting for datasets', async () => {
  await flow.save({ both: ['production', 'orders'] })
  await flow.update('production')
  const waiting = await flow.open('both')
  expect(waiting.status).toBe('PENDING')
  const id = await flow.inTx((tx) => requestRecompute(tx, 'both', '2026-01-01', '2026-01-31', null))
  const mine = (await flow.runs('both')).find((row) => row.id === id)
  expect(mine).toMatchObject({ status: 'REQUESTED', cause: 'recompute', days: '{[2026-01-01,2026-02-01)}' })
  const unknown = flow.inTx((tx) => requestRecompute(tx, 'unknown', '2026-01-01', '2026-01-31', null))
  await expect(unknown).rejects.toSatisfy(problem('unknown_metric'))
})

test('a run that has timed out can be cancelled', async () => {
  await started()
  await silence(61)
  await flow.inTx((tx) => cancelRun(tx, runId, null))
  expect(await run()).toMatchObject({ status: 'CANCELLED', retry_at: null })
  expect(await silence(3600)).toMatchObject({ requestedAgain: [] })
})

test('a run whose results are being imported neither times out nor is completed again', async () => {
  await started()
  const user = `insert into users (email, password_hash, role) values ('a@b.c', 'none', 'admin') returning id`
  await flow.pool.query(
    `with u as (${user}), j as (insert into jobs (type, user_id, tenant) select 'import', id, 'default' from u returning id)
      update metric_runs set job_id = j.id from j where metric_runs.id = $1`,
    [runId],
  )
  expect(await silence(3600)).toEqual({ timedOut: [], failed: [], requestedAgain: [] })
  expect(await completed()).toBe('duplicate')
  expect(await run()).toMatchObject({ status: 'RUNNING' })
})

test('only a started run is returned to the queue, in the same attempt', async () => {
  const back = (attempt = 1) => flow.inTx((tx) => requeueRuns(tx, [{ runId, attempt }]))
  expect(await back()).toEqual([])
  await started()
  await alive(1, 0.5)
  expect(await back(2)).toEqual([])
  expect(await back()).toEqual([runId])
  expect(await run()).toMatchObject({ status: 'REQUESTED', attempt: 1, runner: null, progress: '0.0000' })
  await started()
  await silence(61)
  expect(await back()).toEqual([])
})

test('updates of a metric that was retired in the meantime cause no run', async () => {
  await started()
  await flow.update('production', { days: day('2026-03-01') })
  await flow.pool.query('update metrics set retired_at = now()')
  await completed()
  expect(await flow.runs('pieces')).toHaveLength(1)
})
