import { isFinal, JOB_TRANSITIONS, JobStatus } from '@aduana/contracts/job-states'
import { inTransaction } from '@aduana/db/database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { changeJob, type Guard, type JobChange, tryChangeJob } from './transitions.ts'

let database: JobsDatabase
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())

const change = (guard: Guard, to: JobChange) =>
  inTransaction(database.db, (tx) => tryChangeJob(tx, guard, to))
const END = new Date()
/** The columns that a state requires. */
const at = (status: JobStatus) => ({
  status,
  completed_at: isFinal(status) ? END : null,
  error: status === 'FAILED' ? '{}' : null,
})

const PAIRS = JobStatus.options.flatMap((from) => JobStatus.options.map((to) => [from, to] as const))

test.each(PAIRS)('a job changes from %s to %s only if the transition is allowed', async (from, to) => {
  const id = await database.addJob({ ...at(from), dry_run: true })
  const changing = change({ jobId: id, from: [from] }, at(to))
  if (from === to || JOB_TRANSITIONS[from].includes(to)) {
    expect(await changing).toBe(1)
    expect(await database.job(id)).toMatchObject({ status: to })
  } else {
    await expect(changing).rejects.toThrow(`illegal transition of a job from ${from} to ${to}`)
    expect(await database.job(id)).toMatchObject({ status: from, version: '0' })
  }
})

test('every change increments the version and updates the time', async () => {
  const id = await database.addJob({ updated_at: new Date(0) })
  const guard: Guard = { jobId: id, from: ['QUEUED'] }
  expect(await change(guard, { message: 'one' })).toBe(1)
  expect(await change(guard, { message: 'two' })).toBe(2)
  const job = await database.job(id)
  expect(job).toMatchObject({ version: '2', message: 'two', status: 'QUEUED' })
  expect(Number(job.updated_at)).toBeGreaterThan(Date.now() - 60_000)
})

test.each([
  ['another state', { from: ['QUEUED'] as const }],
  ['another attempt', { from: ['PROCESSING'] as const, attempt: 1 }],
  ['a later attempt', { from: ['PROCESSING'] as const, attempt: 3 }],
  ['a job without a cancellation', { from: ['PROCESSING'] as const, attempt: 2, unlessCancelled: true }],
])('a change that expects %s changes nothing and reports that', async (_, guard) => {
  const id = await database.addJob({ status: 'PROCESSING', attempt: 2, cancel_requested_at: END })
  expect(await change({ jobId: id, ...guard }, { message: 'late' })).toBeUndefined()
  expect(await database.job(id)).toMatchObject({ message: '', version: '0', status: 'PROCESSING' })
})

test('a change whose guard does not hold rolls back its transaction', async () => {
  const id = await database.addJob({ status: 'PROCESSING', attempt: 2 })
  const late = inTransaction(database.db, async (tx) => {
    await tx.updateTable('jobs').set({ message: 'written before' }).where('id', '=', id).execute()
    await changeJob(tx, { jobId: id, from: ['PROCESSING'], attempt: 1 }, { message: 'late' })
  })
  await expect(late).rejects.toMatchObject({ name: 'OvertakenError' })
  expect(await database.job(id)).toMatchObject({ message: '', version: '0' })
})

test('a change whose guard holds is made', async () => {
  const id = await database.addJob({ status: 'PROCESSING', attempt: 2 })
  const guard: Guard = { jobId: id, from: ['PROCESSING'], attempt: 2, unlessCancelled: true }
  expect(await change(guard, { message: 'in time' })).toBe(1)
})

test('a job that does not exist is not changed', async () => {
  const unknownJob = '0000000f-0000-4000-8000-00000000dead'
  expect(await change({ jobId: unknownJob, from: ['QUEUED'] }, { message: 'x' })).toBeUndefined()
})

test('of many concurrent endings of a job, one succeeds', async () => {
  const id = await database.addJob({ status: 'PROCESSING', attempt: 1, dry_run: true })
  const ends = (['COMPLETED', 'FAILED', 'CANCELLED'] as const).flatMap((status) =>
    Array.from({ length: 4 }, () => change({ jobId: id, from: ['PROCESSING'], attempt: 1 }, at(status))),
  )
  const versions = await Promise.all(ends)
  expect(versions.filter((version) => version !== undefined)).toEqual([1])
})
