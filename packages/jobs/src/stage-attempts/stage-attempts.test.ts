import { Counts } from '@aduana/contracts/counts'
import type { StageName } from '@aduana/contracts/stages'
import { inTransaction, type Tx } from '@aduana/db/database'
import { holdingRow, untilWaiting } from '@aduana/testkit/waiting'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cancelJob } from '../lifecycle/cancel.ts'
import { completeJob, tryCancelJob, tryFailJob } from '../lifecycle/finish.ts'
import { reopenStages } from '../lifecycle/reopen.ts'
import { type JobsDatabase, openJobsDatabase, stageAttemptOf } from '../testing/jobs.ts'
import { type Heartbeat, recordHeartbeat } from './heartbeat.ts'
import { beginStage, commitStage, stageOutput, tryCloseAttempt } from './stage-attempts.ts'

let database: JobsDatabase
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())

const working = (change: Record<string, unknown> = {}) =>
  database.addJob({ status: 'PROCESSING', attempt: 1, admitted_at: new Date(), ...change })
const begin = (jobId: string, stage: StageName = 'parse', attempt = 1) =>
  beginStage(database.db, { jobId, attempt }, stage, 'host:1')
async function begun(jobId: string, stage: StageName = 'parse') {
  const start = await begin(jobId, stage)
  if (start.kind !== 'begun') throw new Error(`${stage} did not begin: ${start.kind}`)
  return start.stageAttempt
}
const commit = (of: Parameters<typeof commitStage>[1], output = {}) =>
  inTransaction(database.db, (tx) => commitStage(tx, of, output))
const silence = (jobId: string) =>
  database.pool.query(
    `update stage_results set heartbeat_at = now() - interval '1 minute' where job_id = $1`,
    [jobId],
  )
const figures = {
  progress: 20,
  message: 'Working',
  totalItems: 10,
  processedItems: 5,
  rowsPerSecond: 1,
  etaSeconds: 2,
}

test('stages begin in order, each once the one before is done', async () => {
  const id = await working()
  expect(await begin(id, 'validate')).toEqual({ kind: 'stop', reason: 'stage parse is not done' })
  await commit(await begun(id), { records: 10 })
  expect(await begin(id)).toEqual({ kind: 'already-done' })
  expect(await stageOutput(database.db, id, 'parse')).toEqual({ records: 10 })
  expect(await stageOutput(database.db, id, 'validate')).toBeUndefined()
  expect((await begun(id, 'validate')).try).toBe(1)
})

test('losses count for the stage in which they happen: the first attempt at a stage resets them', async () => {
  const id = await working({ lost_count: 3 })
  const first = await begun(id)
  expect(await database.job(id)).toMatchObject({ lost_count: 0 })
  await database.pool.query('update jobs set lost_count = 2 where id = $1', [id])
  await silence(id)
  const again = await begun(id)
  expect(again.try).toBe(first.try + 1)
  expect(await database.job(id)).toMatchObject({ lost_count: 3 })
  await commit(again)
  await begun(id, 'validate')
  expect(await database.job(id)).toMatchObject({ lost_count: 0 })
})

test('a job fails when its workers die for the fifth time in the same stage, unless it has loaded', async () => {
  const id = await working()
  for (let deaths = 1; deaths <= 4; deaths += 1) {
    await begun(id)
    await silence(id)
  }
  await begun(id)
  await silence(id)
  expect(await begin(id)).toEqual({ kind: 'stop', reason: 'its workers died too often' })
  expect(await database.job(id)).toMatchObject({
    status: 'FAILED',
    error: { code: 'worker_lost', stage: 'parse' },
  })
  const loaded = await working({ lost_count: 4, loaded_at: new Date() })
  await database.pool.query(`update jobs set lost_count = 4 where id = $1`, [loaded])
  await begun(loaded)
  await database.pool.query(`update jobs set lost_count = 4 where id = $1`, [loaded])
  await silence(loaded)
  expect(await begin(loaded)).toMatchObject({ kind: 'begun' })
  await silence(loaded)
})

test('of the jobs whose workers died more than once only one is processed at a time', async () => {
  const [one, other, innocent] = [await working(), await working(), await working()]
  const dieTwice = async (id: string) => {
    for (const _ of [1, 2]) {
      await begun(id)
      await silence(id)
    }
  }
  await dieTwice(one)
  await dieTwice(other)
  await begun(one)
  expect(await begin(other)).toEqual({ kind: 'busy' })
  await begun(innocent)
  await silence(one)
  expect(await begin(other)).toMatchObject({ kind: 'begun' })
})

test('a stage with a live attempt is busy; one without recent heartbeats is taken over', async () => {
  const id = await working()
  const first = await begun(id)
  expect(await begin(id)).toEqual({ kind: 'busy' })
  await silence(id)
  const second = await begun(id)
  expect(second.try).toBe(2)
  expect(await recordHeartbeat(database.db, first, figures)).toEqual({ answer: 'overtaken' })
  await expect(commit(first)).rejects.toMatchObject({ name: 'OvertakenError' })
  expect(await inTransaction(database.db, (tx) => tryCloseAttempt(tx, first, 'failed', null))).toBe(false)
  await commit(second)
})

test('of many concurrent deliveries one begins', async () => {
  const id = await working()
  const starts = await Promise.all(Array.from({ length: 10 }, () => begin(id)))
  expect(starts.map((start) => start.kind).sort()).toEqual(['begun', ...Array(9).fill('busy')])
})

test.each([
  ['is over', { status: 'CANCELLED', completed_at: new Date() }, 'the job is CANCELLED'],
  ['is in a later attempt', { attempt: 2 }, 'overtaken by attempt 2'],
  ['waits for its window', { waiting_for: 'window' }, 'the job waits for its window'],
])('nothing begins for a job that %s', async (_, change, reason) => {
  expect(await begin(await working(change))).toEqual({ kind: 'stop', reason })
})

test('no stage begins for a job that does not exist', async () => {
  const start = await begin('0000000f-0000-4000-8000-00000000dead')
  expect(start).toEqual({ kind: 'stop', reason: 'the job does not exist' })
})

test('a stage attempt that never began cannot be committed or closed', async () => {
  const id = await working()
  expect(await recordHeartbeat(database.db, stageAttemptOf(id), figures)).toEqual({ answer: 'overtaken' })
  await expect(commit(stageAttemptOf(id))).rejects.toMatchObject({ name: 'OvertakenError' })
})

test('a job in progress is notified of a cancellation, and ends before its next stage', async () => {
  const id = await working()
  const mine = await begun(id)
  const admin = await database.addUser('admin')
  expect(await cancelJob(database.db, admin, id)).toMatchObject({ status: 'PROCESSING' })
  expect(await recordHeartbeat(database.db, mine, figures)).toMatchObject({ answer: 'cancel' })
  await commit(mine)
  expect(await begin(id, 'validate')).toEqual({ kind: 'stop', reason: 'cancelled' })
  expect(await database.job(id)).toMatchObject({ status: 'CANCELLED' })
  await expect(cancelJob(database.db, admin, id)).rejects.toMatchObject({ code: 'illegal_transition' })
})

test('a queued job is cancelled at once; a loaded one never is', async () => {
  const admin = await database.addUser('admin')
  const queued = await database.addJob()
  expect(await cancelJob(database.db, admin, queued)).toMatchObject({ status: 'CANCELLED' })
  const loaded = await working({ loaded_at: new Date() })
  await expect(cancelJob(database.db, admin, loaded)).rejects.toMatchObject({ code: 'illegal_transition' })
})

test('only users with access and the role may cancel a job', async () => {
  const viewer = await database.addUser('viewer')
  const own = await database.addJob({ user_id: viewer.userId })
  await expect(cancelJob(database.db, viewer, own)).rejects.toMatchObject({ code: 'forbidden' })
  const stranger = await database.addUser('operator')
  await expect(cancelJob(database.db, stranger, own)).rejects.toMatchObject({ code: 'not_found' })
})

test('a job fails once, closes its stage attempts, and never fails after it has loaded', async () => {
  const failure = { code: 'internal', detail: 'it broke' }
  const fail = (jobId: string) =>
    inTransaction(database.db, (tx) => tryFailJob(tx, { jobId, attempt: 1 }, failure))
  const id = await working()
  const mine = await begun(id)
  expect(await fail(id)).toBe(true)
  expect(await fail(id)).toBe(false)
  expect(await database.job(id)).toMatchObject({ status: 'FAILED', error: failure, message: 'it broke' })
  await expect(commit(mine)).rejects.toMatchObject({ name: 'OvertakenError' })
  const loaded = await working({ loaded_at: new Date() })
  expect(await fail(loaded)).toBe(false)
})

test('a job that has loaded is not cancelled, although that was requested before', async () => {
  const loaded = await working({ loaded_at: new Date(), cancel_requested_at: new Date() })
  expect(await inTransaction(database.db, (tx) => tryCancelJob(tx, { jobId: loaded, attempt: 1 }))).toBe(
    false,
  )
  expect(await begin(loaded)).toMatchObject({ kind: 'begun' })
  expect(await database.job(loaded)).toMatchObject({ status: 'PROCESSING' })
})

test('a cancelled job closes its open stage attempts', async () => {
  const id = await working()
  const mine = await begun(id)
  expect(await inTransaction(database.db, (tx) => tryCancelJob(tx, { jobId: id, attempt: 2 }))).toBe(false)
  expect(await inTransaction(database.db, (tx) => tryCancelJob(tx, { jobId: id, attempt: 1 }))).toBe(true)
  await expect(commit(mine)).rejects.toMatchObject({ name: 'OvertakenError' })
  const open = await database.pool.query(
    `select from stage_results where job_id = $1 and state = 'running'`,
    [id],
  )
  expect(open.rowCount).toBe(0)
})

test('the open stage attempts of a job that ends are lost if their heartbeat timed out, else released', async () => {
  const states = async (id: string) =>
    (
      await database.pool.query(
        'select state, lost_because from stage_results where job_id = $1 order by attempt',
        [id],
      )
    ).rows
  const [alive, dead] = [await working(), await working()]
  for (const id of [alive, dead]) await begun(id)
  await silence(dead)
  for (const id of [alive, dead])
    expect(await inTransaction(database.db, (tx) => tryCancelJob(tx, { jobId: id }))).toBe(true)
  expect(await states(alive)).toEqual([{ state: 'released', lost_because: null }])
  expect(await states(dead)).toEqual([{ state: 'lost', lost_because: 'heartbeat timed out' }])
})

test('a stage that is repeated marks its former result as discarded', async () => {
  const id = await working()
  await commit(await begun(id))
  await inTransaction(database.db, (tx) => reopenStages(tx, id, 'parse'))
  expect(await stageOutput(database.db, id, 'parse')).toBeUndefined()
  const { rows } = await database.pool.query('select state from stage_results where job_id = $1', [id])
  expect(rows).toEqual([{ state: 'discarded' }])
})

const NO_COUNTS = Counts.parse(Object.fromEntries(Object.keys(Counts.shape).map((name) => [name, 0])))

test.each([
  ['completes', (tx: Tx, jobId: string) => completeJob(tx, { jobId }, NO_COUNTS, 'Done')],
  ['fails', (tx: Tx, jobId: string) => tryFailJob(tx, { jobId }, { code: 'internal', detail: 'it broke' })],
  ['is cancelled', (tx: Tx, jobId: string) => tryCancelJob(tx, { jobId })],
])('the dispatchers are notified of a job that %s, even if it held no window', async (_, end) => {
  // A dry run completes without a load.
  const jobId = await working({ dry_run: true })
  const client = await database.pool.connect()
  try {
    const heard: string[] = []
    client.on('notification', ({ channel }) => heard.push(channel))
    await client.query('listen aduana_dispatch')
    await inTransaction<unknown>(database.db, (tx) => end(tx, jobId))
    // Earlier notifications arrive with the response to the next statement.
    await client.query('select 1')
    expect(heard).toContain('aduana_dispatch')
  } finally {
    await client.query('unlisten *')
    client.removeAllListeners('notification')
    client.release()
  }
})

test('a stage does not begin beside a live attempt at another stage of its job', async () => {
  const id = await working()
  await commit(await begun(id))
  await begun(id, 'validate')
  // As when a retry begins with an earlier stage while a frozen process still executes a later one.
  await inTransaction(database.db, (tx) => reopenStages(tx, id, 'parse'))
  await database.pool.query('update jobs set attempt = 2 where id = $1', [id])
  expect(await begin(id, 'parse', 2)).toEqual({ kind: 'busy' })
  await silence(id)
  expect(await begin(id, 'parse', 2)).toMatchObject({ kind: 'begun' })
})

test('a job completes during a heartbeat without a deadlock', async () => {
  const jobId = await working({ dry_run: true })
  const own = await begun(jobId)
  let completed: Promise<void> = Promise.resolve()
  let alive: Promise<Heartbeat> | undefined
  await holdingRow(database.pool, { table: 'jobs', id: jobId }, async () => {
    completed = inTransaction(database.db, async (tx) => {
      await completeJob(tx, { jobId, attempt: 1 }, NO_COUNTS, 'Done')
      await commitStage(tx, own, {})
    })
    await untilWaiting(database.pool, 1)
    alive = recordHeartbeat(database.db, own, figures)
    await untilWaiting(database.pool, 2)
  })
  await completed
  expect(await alive).toEqual({ answer: 'overtaken' })
})
