import { createProgressReporter } from '@aduana/jobs/stage-attempts/progress'
import { beginStage, type StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type AttemptWatch, watchAttempt } from './stage-attempt.ts'

let database: TestDatabase
let jobId: string
let stageAttempt: StageAttempt
let watch: AttemptWatch
let published: number[]
let stopping: AbortController
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  const { pool, db } = database
  const user = `insert into users (email, password_hash, role) values (gen_random_uuid() || '@test.local', 'none', 'operator') returning id`
  const job = await pool.query(
    `with u as (${user}) insert into jobs (type, user_id, tenant, status, attempt)
      select 'import', u.id, 'default', 'PROCESSING', 1 from u returning id`,
  )
  jobId = job.rows[0].id
  const started = await beginStage(db, { jobId, attempt: 1 }, 'parse', 'worker')
  if (started.kind !== 'begun') throw new Error(`the stage did not begin: ${started.kind}`)
  stageAttempt = started.stageAttempt
  published = []
  stopping = new AbortController()
})
afterEach(() => watch.stop())

const begin = () => {
  const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
  const publisher = {
    publish: ({ seq }: { seq: number }) => void published.push(seq),
    close: () => undefined,
  }
  const reporter = createProgressReporter({
    stageAttempt,
    reached: 0,
    jobStartedAt: new Date(),
    title: 'Parse',
  })
  watch = watchAttempt({ db: database.db, publisher, logger }, stageAttempt, reporter, stopping.signal)
  return reporter
}
const change = (statement: string) => database.pool.query(statement, [jobId])

test.each([
  ['a user asks to cancel', 'update jobs set cancel_requested_at = now() where id = $1', 'cancel'],
  ['another attempt begins', 'update jobs set attempt = 2 where id = $1', 'overtaken'],
])('a stage attempt is stopped when %s', async (_, statement, reason) => {
  begin()
  await change(statement)
  await expect.poll(() => watch.signal.aborted, { timeout: 20_000 }).toBe(true)
  expect(watch.reason()).toBe(reason)
})

test('a stage attempt writes heartbeats while its progress does not change, and is not stopped', async () => {
  await change(`update stage_results set heartbeat_at = now() - interval '1 minute' where job_id = $1`)
  begin()
  const alive = async () =>
    (
      await change(
        `select from stage_results where job_id = $1 and heartbeat_at > now() - interval '30 seconds'`,
      )
    ).rowCount
  await expect.poll(alive, { timeout: 20_000 }).toBe(1)
  expect(watch.signal.aborted).toBe(false)
})

test('progress is stored before it is published, and none is once the stage attempt has ended', async () => {
  const reporter = begin()
  reporter.report({ fraction: 0.5, message: 'Half', totalItems: 10, processedItems: 5 })
  await expect.poll(() => published.length, { timeout: 20_000 }).toBeGreaterThan(0)
  expect((await change('select processed_items::int from jobs where id = $1')).rows).toEqual([
    { processed_items: 5 },
  ])
  watch.stop()
  expect(watch.signal.aborted).toBe(false)
})

test('a stage attempt is stopped when its process ends', async () => {
  begin()
  stopping.abort()
  expect(watch.signal.aborted).toBe(true)
  expect(watch.reason()).toBe('process ends')
})
