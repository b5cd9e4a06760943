import type { StageName } from '@aduana/contracts/stages'
import { inTransaction } from '@aduana/db/database'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeJob } from '../lifecycle/transitions.ts'
import { readNumberedJob } from '../read/jobs.ts'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { recordHeartbeat } from './heartbeat.ts'
import { beginStage, commitStage } from './stage-attempts.ts'

let database: JobsDatabase
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())

const figures = {
  progress: 20,
  message: 'Working',
  totalItems: 10,
  processedItems: 5,
  rowsPerSecond: 1,
  etaSeconds: 2,
}

const working = () => database.addJob({ status: 'PROCESSING', attempt: 1, admitted_at: new Date() })
const begin = (jobId: string, stage: StageName = 'parse') =>
  beginStage(database.db, { jobId, attempt: 1 }, stage, 'host:1')
async function begun(jobId: string, stage: StageName = 'parse') {
  const start = await begin(jobId, stage)
  if (start.kind !== 'begun') throw new Error(`${stage} did not begin: ${start.kind}`)
  return start.stageAttempt
}
const silence = (jobId: string) =>
  database.pool.query(
    `update stage_results set heartbeat_at = now() - interval '1 minute' where job_id = $1`,
    [jobId],
  )

test('a heartbeat keeps a stage attempt alive, stores its figures and never lowers the progress', async () => {
  const id = await working()
  const mine = await begun(id)
  await silence(id)
  expect(await recordHeartbeat(database.db, mine, figures)).toMatchObject({ answer: 'go' })
  expect(await begin(id)).toEqual({ kind: 'busy' })
  await recordHeartbeat(database.db, mine, { ...figures, progress: 5, totalItems: null })
  expect(await database.job(id)).toMatchObject({ progress: '20.00', total_items: '10', message: 'Working' })
})

test.each([
  ['in a later attempt', 'attempt = 2'],
  ['final', `status = 'CANCELLED', completed_at = now()`],
])('a heartbeat of a stage attempt whose job is %s stores nothing', async (_, change) => {
  const id = await working()
  const mine = await begun(id)
  await silence(id)
  await database.pool.query(`update jobs set ${change} where id = $1`, [id])
  expect(await recordHeartbeat(database.db, mine, figures)).toEqual({ answer: 'overtaken' })
  expect(await database.job(id)).toMatchObject({ total_items: null })
  const alive = `select from stage_results where job_id = $1 and heartbeat_at > now() - interval '30 seconds'`
  expect((await database.pool.query(alive, [id])).rowCount).toBe(0)
})

test('the progress that a heartbeat returns to publish is that of the job, with an increasing number', async () => {
  const id = await working()
  const admin = await database.addUser('admin')
  const first = await begun(id)
  const told = []
  for (const progress of [10, 20])
    told.push((await recordHeartbeat(database.db, first, { ...figures, progress })).progress)
  await silence(id)
  const second = await begun(id)
  // The second attempt starts with the progress of its stage, but the job has more.
  told.push(
    (await recordHeartbeat(database.db, second, { ...figures, progress: 1, message: 'Again' })).progress,
  )
  expect(told.map((one) => one?.progress)).toEqual([10, 20, 20])
  const numbers = told.map((one) => one?.seq ?? 0)
  expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other))
  const read = await readNumberedJob(database.db, admin, id)
  expect(read.seq).toBe(numbers.at(-1))
  expect(read.job).toMatchObject({ progress: 20, message: 'Again', stage: 'parse' })
  expect(told.at(-1)).toMatchObject({ jobId: id, userId: read.job.user.id, message: 'Again', stage: 'parse' })
})

test('a job that is read after a message has at least its number, also when the version has increased', async () => {
  const id = await working()
  const admin = await database.addUser('admin')
  const mine = await begun(id)
  const { progress } = await recordHeartbeat(database.db, mine, figures)
  expect((await readNumberedJob(database.db, admin, id)).seq).toBe(progress?.seq)
  await inTransaction(database.db, (tx) =>
    changeJob(tx, { jobId: id, from: ['PROCESSING'] }, { message: 'x' }),
  )
  const changed = await readNumberedJob(database.db, admin, id)
  expect(changed.seq).toBeGreaterThan(progress?.seq ?? 0)
  // The attempt continues, and its next message is newer than that state.
  expect((await recordHeartbeat(database.db, mine, figures)).progress?.seq).toBeGreaterThan(changed.seq)
})

test('a heartbeat that waits while its stage attempt ends changes nothing', async () => {
  const id = await working()
  const mine = await begun(id)
  const client = await database.pool.connect()
  try {
    const late = await inTransaction(database.db, async (tx) => {
      await changeJob(tx, { jobId: id, from: ['PROCESSING'] }, { message: 'Waiting for import #3' })
      const beating = recordHeartbeat(database.db, mine, figures)
      const blocked = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      await until(async () => (await client.query(blocked)).rowCount === 1, { what: 'the heartbeat waits' })
      await commitStage(tx, mine, {})
      return { beating }
    })
    expect(await late.beating).toEqual({ answer: 'overtaken' })
    expect(await database.job(id)).toMatchObject({ message: 'Waiting for import #3', progress_tick: 0 })
  } finally {
    client.release()
  }
})
