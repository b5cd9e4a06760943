import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { admit } from './dispatch.ts'

let database: JobsDatabase
let clock: number
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.clear()
  clock = Date.parse('2024-01-01T00:00:00Z')
})

const ROOMY = { maxActive: 100, maxActivePerTenant: 100 }
/** Inserts jobs with names, in order of arrival. */
const names = new Map<string, string>()
async function add(name: string, change: Record<string, unknown> = {}): Promise<string> {
  clock += 1000
  const id = await database.addJob({ created_at: new Date(clock), ...change })
  names.set(id, name)
  return id
}
const admitted = async (limits = ROOMY) =>
  (await admit(database.db, limits)).map((flow) => names.get(flow.jobId))

/** Completes the jobs that have been processed for longest. */
const finish = (jobs: number) =>
  database.pool.query(
    `update jobs set status = 'CANCELLED', completed_at = now() where id in
       (select id from jobs where status = 'PROCESSING' order by admitted_at limit $1)`,
    [jobs],
  )

test('jobs are admitted by priority, then by arrival', async () => {
  await add('first')
  await add('second')
  await add('urgent', { priority: 10 })
  await add('idle', { priority: -10 })
  expect(await admitted()).toEqual(['urgent', 'first', 'second', 'idle'])
  expect(await admitted()).toEqual([])
})

test('an admitted job is PROCESSING in its next attempt, with an event and all stages in its flow', async () => {
  const id = await add('it', { attempt: 4 })
  const flows = await admit(database.db, ROOMY)
  expect(flows).toEqual([
    {
      jobId: id,
      attempt: 5,
      title: 'import',
      stages: ['parse', 'validate', 'quarantine', 'load', 'fan-out'],
    },
  ])
  const job = await database.job(id)
  expect(job).toMatchObject({ status: 'PROCESSING', attempt: 5, version: '1' })
  expect(job.started_at).not.toBeNull()
  const events = await database.pool.query('select type, body from event_log where job_id = $1', [id])
  expect(events.rows).toEqual([{ type: 'job.admitted', body: { type: 'job.admitted', attempt: 5 } }])
})

test('the title of a flow names dataset and import, and a flow has only the stages that are not done', async () => {
  const id = await database.accept()
  await database.pool.query(
    `insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at)
     values ($1, 'parse', 1, 1, 'done', 'w', now()), ($1, 'validate', 1, 1, 'failed', 'w', now())`,
    [id],
  )
  const [flow] = await admit(database.db, ROOMY)
  expect(flow?.title).toMatch(/^production #\d+$/)
  expect(flow?.stages).toEqual(['validate', 'quarantine', 'load', 'fan-out'])
})

test('tenants take turns: the one with the fewest active jobs is first', async () => {
  for (const n of [1, 2, 3]) await add(`big ${n}`, { tenant: 'big' })
  await add('small', { tenant: 'small' })
  expect(await admitted({ ...ROOMY, maxActive: 2 })).toEqual(['big 1', 'small'])
  await add('new', { tenant: 'new' })
  expect(await admitted({ ...ROOMY, maxActive: 3 })).toEqual(['new'])
  expect(await admitted({ ...ROOMY, maxActive: 4 })).toEqual(['big 2'])
})

test('a high priority precedes the turn of another tenant', async () => {
  await add('big 1', { tenant: 'big', priority: 5 })
  await add('big 2', { tenant: 'big', priority: 5 })
  await add('small', { tenant: 'small' })
  expect(await admitted({ ...ROOMY, maxActive: 2 })).toEqual(['big 1', 'big 2'])
})

test('no more jobs are admitted than the limits of all workers and of a tenant allow', async () => {
  for (const n of [1, 2, 3, 4]) await add(`a${n}`, { tenant: 'a' })
  for (const n of [1, 2, 3, 4]) await add(`b${n}`, { tenant: 'b' })
  const limits = { maxActive: 5, maxActivePerTenant: 2 }
  expect((await admitted(limits)).sort()).toEqual(['a1', 'a2', 'b1', 'b2'])
  expect(await admitted(limits)).toEqual([])
  expect(await admitted({ maxActive: 5, maxActivePerTenant: 3 })).toEqual(['a3'])
  expect(await admitted({ maxActive: 4, maxActivePerTenant: 9 })).toEqual([])
})

test('a job that waits for something is skipped, and does not use up a place', async () => {
  await add('waits', { waiting_for: 'window', priority: 100 })
  await add('waits in work', { waiting_for: 'window', status: 'PROCESSING', admitted_at: new Date() })
  await add('ready')
  expect(await admitted({ ...ROOMY, maxActive: 1 })).toEqual(['ready'])
})

test('a job is not admitted before its start time', async () => {
  await add('later', { start_at: new Date(Date.now() + 3_600_000) })
  await add('due', { start_at: new Date(Date.now() - 1000) })
  expect(await admitted()).toEqual(['due'])
})

test('a job whose work was lost is admitted again before new ones', async () => {
  await add('urgent', { priority: 100 })
  await add('lost', { status: 'PROCESSING', attempt: 1, admitted_at: null })
  expect(await admitted({ ...ROOMY, maxActive: 1 })).toEqual(['lost'])
})

test('final jobs are not admitted', async () => {
  await add('done', { status: 'CANCELLED', completed_at: new Date() })
  expect(await admitted()).toEqual([])
})

test('several dispatchers at once admit each job once', async () => {
  for (let n = 0; n < 30; n += 1) await add(`job ${n}`)
  const rounds = await Promise.all(Array.from({ length: 8 }, () => admitted({ ...ROOMY, maxActive: 20 })))
  const all = rounds.flat()
  expect(new Set(all).size).toBe(all.length)
  expect(all).toHaveLength(20)
})

test('the only job of a tenant is admitted before the waiting ones of another tenant’s five hundred', async () => {
  for (let n = 0; n < 500; n += 1) await add(`many ${n}`, { tenant: 'many' })
  const limits = { maxActive: 8, maxActivePerTenant: 8 }
  expect(await admitted(limits)).toHaveLength(8)
  await add('single', { tenant: 'single' })
  expect(await admitted(limits)).toEqual([])
  await finish(1)
  expect(await admitted(limits)).toEqual(['single'])
})

test('a tenant with a limit of its own leaves a place for others at any time', async () => {
  for (let n = 0; n < 20; n += 1) await add(`many ${n}`, { tenant: 'many' })
  const limits = { maxActive: 8, maxActivePerTenant: 6 }
  expect(await admitted(limits)).toHaveLength(6)
  await add('single', { tenant: 'single' })
  expect(await admitted(limits)).toEqual(['single'])
})

test('two tenants with many jobs are admitted alternately, whichever came first', async () => {
  for (let n = 0; n < 20; n += 1) await add(`first ${n}`, { tenant: 'first' })
  for (let n = 0; n < 20; n += 1) await add(`second ${n}`, { tenant: 'second' })
  const order: (string | undefined)[] = await admitted({ ...ROOMY, maxActive: 4 })
  for (let n = 0; n < 8; n += 1) {
    await finish(1)
    order.push(...(await admitted({ ...ROOMY, maxActive: 4 })))
  }
  const tenants = order.map((name) => name?.split(' ')[0])
  expect(tenants.filter((tenant) => tenant === 'first')).toHaveLength(6)
  expect(tenants.filter((tenant) => tenant === 'second')).toHaveLength(6)
})

test('within a tenant the higher priority goes first, and equals go by arrival', async () => {
  await add('a low', { tenant: 'a', priority: -5 })
  await add('a first', { tenant: 'a' })
  await add('a second', { tenant: 'a' })
  await add('a high', { tenant: 'a', priority: 100 })
  const order: (string | undefined)[] = []
  for (let n = 0; n < 4; n += 1) {
    order.push(...(await admitted({ ...ROOMY, maxActive: 1 })))
    await finish(1)
  }
  expect(order).toEqual(['a high', 'a first', 'a second', 'a low'])
})
