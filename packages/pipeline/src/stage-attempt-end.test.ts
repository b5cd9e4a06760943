import { inTransaction } from '@aduana/db/database'
import { OvertakenError } from '@aduana/jobs/lifecycle/transitions'
import { beginStage, type StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { endAfterError, endAttempt } from './stage-attempt.ts'

let database: TestDatabase
let userId: string
let jobId: string
beforeAll(async () => {
  database = await createTestDatabase()
  const user = await database.db
    .insertInto('users')
    .values({ email: 'operator@test.local', password_hash: 'none', role: 'operator' })
    .returning('id')
    .executeTakeFirstOrThrow()
  userId = user.id
})
afterAll(() => database.drop())
beforeEach(async () => {
  const job = await database.db
    .insertInto('jobs')
    .values({ type: 'import', user_id: userId, tenant: 'default', status: 'PROCESSING', attempt: 1 })
    .returning('id')
    .executeTakeFirstOrThrow()
  jobId = job.id
})

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const context = () => ({ db: database.db, pool: database.pool, logger })
const delivery = { signal: new AbortController().signal, lastTry: true }
const begin = () => beginStage(database.db, { jobId, attempt: 1 }, 'parse', 'worker')
const begun = async (): Promise<StageAttempt> => {
  const started = await begin()
  if (started.kind !== 'begun') throw new Error(`the stage did not begin: ${started.kind}`)
  return started.stageAttempt
}
const stageAttempts = async () =>
  (await database.pool.query('select try, state from stage_results where job_id = $1 order by try', [jobId]))
    .rows
const job = async () =>
  (await database.pool.query('select status, lost_count from jobs where id = $1', [jobId])).rows[0]
/** Lets another process take over the stage attempt, as after a heartbeat timeout. */
const overtake = async () => {
  await database.pool.query(
    `update stage_results set heartbeat_at = now() - interval '1 hour' where job_id = $1 and state = 'running'`,
    [jobId],
  )
  return begun()
}
const FAILURE = { code: 'internal', detail: 'It failed.' } as const

test('a stage attempt that is fenced out ends at once: the next begins without waiting, and no loss is counted', async () => {
  const fenced = await begun()
  const outcome = await endAfterError(context(), fenced, new OvertakenError('fenced'), delivery, undefined)
  expect(outcome).toEqual({ kind: 'stop', reason: 'overtaken' })
  expect(await stageAttempts()).toEqual([{ try: 1, state: 'released' }])
  expect(await begin()).toMatchObject({ kind: 'begun', stageAttempt: { try: 2 } })
  expect(await job()).toMatchObject({ status: 'PROCESSING', lost_count: 0 })
})

test('an overtaken stage attempt neither fails its job nor changes the attempt that took its place', async () => {
  const first = await begun()
  const second = await overtake()
  expect(await endAttempt(context(), first, 1, { kind: 'fail', failure: FAILURE })).toEqual({
    kind: 'stop',
    reason: 'overtaken',
  })
  const error = new Error('broken')
  expect(await endAfterError(context(), first, error, { ...delivery, lastTry: false }, undefined)).toEqual({
    kind: 'stop',
    reason: 'overtaken',
  })
  expect(await job()).toMatchObject({ status: 'PROCESSING' })
  expect((await stageAttempts()).at(-1)).toEqual({ try: second.try, state: 'running' })
})

test('an overtaken stage attempt cannot commit: what its commit wrote rolls back', async () => {
  const first = await begun()
  await overtake()
  const ending = endAttempt(context(), first, 1, {
    kind: 'done',
    commit: async (tx) => {
      await tx.updateTable('jobs').set({ message: 'written' }).where('id', '=', jobId).execute()
      return {}
    },
  })
  await expect(ending).rejects.toMatchObject({ name: 'OvertakenError' })
  const message = await database.pool.query('select message from jobs where id = $1', [jobId])
  expect(message.rows[0]?.message).not.toBe('written')
})

test('a stage that is postponed leaves no stage attempt, and its next delivery begins at once', async () => {
  const first = await begun()
  const outcome = await endAttempt(context(), first, 1, { kind: 'snooze', milliseconds: 5, reason: 'later' })
  expect(outcome).toEqual({ kind: 'snooze', milliseconds: 5, reason: 'later' })
  expect(await stageAttempts()).toEqual([])
  expect(await begin()).toMatchObject({ kind: 'begun', stageAttempt: { try: 1 } })
  expect(await job()).toMatchObject({ lost_count: 0 })
})

const transient = Object.assign(new Error('away'), { code: '57P01' })

test('a stage attempt with a transient failure is retried until its last try', async () => {
  const first = await begun()
  const outcome = await endAfterError(context(), first, transient, { ...delivery, lastTry: false }, undefined)
  expect(outcome).toEqual({ kind: 'retry', error: transient })
  expect(await stageAttempts()).toEqual([{ try: 1, state: 'failed' }])
  expect(await job()).toMatchObject({ status: 'PROCESSING' })
  const last = await begun()
  expect(await endAfterError(context(), last, transient, delivery, undefined)).toMatchObject({ kind: 'fail' })
  expect(await job()).toMatchObject({ status: 'FAILED' })
})

test('a stage attempt whose process stops is released, whatever its error, and no loss is counted', async () => {
  const first = await begun()
  const stopping = { signal: AbortSignal.abort(), lastTry: true }
  const error = new Error('a mistake')
  expect(await endAfterError(context(), first, error, stopping, 'process ends')).toEqual({
    kind: 'retry',
    error,
  })
  expect(await stageAttempts()).toEqual([{ try: 1, state: 'released' }])
  expect(await begin()).toMatchObject({ kind: 'begun' })
  expect(await job()).toMatchObject({ status: 'PROCESSING', lost_count: 0 })
})

test('a stage attempt that is stopped by a cancellation cancels its job, unless it was overtaken', async () => {
  const first = await begun()
  const second = await overtake()
  await inTransaction(database.db, (tx) =>
    tx
      .updateTable('jobs')
      .set({ cancel_requested_at: new Date(), attempt: 2 })
      .where('id', '=', jobId)
      .execute(),
  )
  const stopped = new Error('stopped')
  expect(await endAfterError(context(), second, stopped, delivery, 'cancel')).toEqual({
    kind: 'stop',
    reason: 'overtaken',
  })
  expect(await job()).toMatchObject({ status: 'PROCESSING' })
  await database.pool.query('update jobs set attempt = 1 where id = $1', [jobId])
  expect(await endAfterError(context(), second, stopped, delivery, 'cancel')).toEqual({
    kind: 'stop',
    reason: 'cancelled',
  })
  expect(await job()).toMatchObject({ status: 'CANCELLED' })
  expect(first.try).toBeLessThan(second.try)
})
