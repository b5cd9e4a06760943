import { inTransaction } from '@aduana/db/database'
import { createLogger } from '@aduana/runtime/logger'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkTimeouts } from '../runs/maintenance.ts'
import { type Flow, openFlow } from '../testing/flow.ts'
import { claimRuns } from './claim.ts'
import { holdLivenessLock } from './liveness.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const WORKER = 'host.1.c0ffee'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
  await flow.save({ first: ['production'] })
  await flow.update('production')
})
afterEach(() => flow.drop())

const check = () => checkTimeouts(flow.db, logger)
/** Claims the open run for the worker. */
async function begin(): Promise<string> {
  const { id } = await flow.open('first')
  const claim = await claimRuns(flow.db, id, `${WORKER}.7`)
  expect(claim.runs.map(({ runId }) => runId)).toEqual([id])
  return id
}
const register = (ended: boolean) =>
  flow.pool.query(`insert into workers (id, stages, ended_at) values ($1, '{}', $2)`, [
    WORKER,
    ended ? new Date() : null,
  ])

test('a run is requested again at once when the session of its worker has ended, twice; then after a while', async () => {
  await register(true)
  for (const attempt of [1, 2]) {
    const id = await begin()
    expect((await flow.open('first')).attempt).toBe(attempt)
    await check()
    expect(await flow.open('first')).toMatchObject({ id, status: 'REQUESTED', attempt: attempt + 1 })
  }
  await begin()
  await check()
  expect(await flow.open('first')).toMatchObject({ status: 'TIMED_OUT', attempt: 3 })
  await flow.pool.query(`update metric_runs set retry_at = now() - interval '1 second'`)
  await check()
  expect(await flow.open('first')).toMatchObject({ status: 'REQUESTED', attempt: 4 })
})

test('a run of a live worker is not requested again, even if another worker with a similar name has ended', async () => {
  await register(false)
  await flow.pool.query(`insert into workers (id, stages, ended_at) values ('host.1.c0ffe', '{}', now())`)
  const id = await begin()
  await check()
  expect(await flow.open('first')).toMatchObject({ id, status: 'RUNNING' })
})

test('a computation of an ended worker that PostgreSQL still executes is terminated first', async () => {
  await register(true)
  await begin()
  const computing = inTransaction(flow.db, async (tx) => {
    await holdLivenessLock(tx, `${WORKER}.7`)
    await check()
    await tx.selectFrom('workers').selectAll().execute()
  })
  await expect(computing).rejects.toThrow()
  await check()
  expect(await flow.open('first')).toMatchObject({ status: 'REQUESTED' })
})
