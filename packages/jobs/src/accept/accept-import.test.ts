import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { ProblemError } from '@aduana/contracts/problems'
import { registerDatasets } from '@aduana/datasets/registry'
import { production } from '@aduana/datasets/shipped/production'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { wakeWaiters } from '../dispatch/dispatch.ts'
import { cancelJob } from '../lifecycle/cancel.ts'
import { freshSha, type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'

let database: JobsDatabase
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(() => database.clear())
afterEach(disarmFailPoints)

const count = async (table: string) => (await database.pool.query(`select from ${table}`)).rowCount
const refusal = (accepting: Promise<unknown>): Promise<ProblemError> =>
  accepting.then(
    () => Promise.reject(new Error('it was accepted')),
    (error) => error,
  )

test('accepting an import stores its job, import, file, event and audit entry', async () => {
  const operator = await database.addUser('operator', { tenant: 't1', companies: ['ACME'], warehouses: [] })
  const id = await database.accept({ priority: '7', onConflict: 'wait', delimiter: ';' }, { as: operator })
  expect(await database.job(id)).toMatchObject({
    type: 'import',
    status: 'QUEUED',
    user_id: operator.userId,
    tenant: 't1',
    companies: ['ACME'],
    warehouses: [],
    priority: 7,
    attempt: 0,
    waiting_for: null,
  })
  const found = await database.pool.query(
    `select i.mode, i.delimiter, i.on_conflict, i.bytes, a.name, a.sha256 = j.content_sha256 as same, e.type, u.action, u.actor
     from jobs j join imports i on i.job_id = j.id join artifacts a on a.job_id = j.id
       join event_log e on e.job_id = j.id join audit_log u on u.subject_id = j.id::text where j.id = $1`,
    [id],
  )
  expect(found.rows).toEqual([
    {
      mode: 'replace-window',
      delimiter: ';',
      on_conflict: 'wait',
      bytes: '10',
      name: 'original',
      same: true,
      type: 'job.accepted',
      action: 'import.accept',
      actor: operator.userId,
    },
  ])
})

test('the message of an import that is to start later names the start time, also once its window is free', async () => {
  const startAt = '2100-12-01T05:00:00+01:00'
  const scheduled = 'Scheduled to start at 2100-12-01 04:00:00 UTC'
  expect(await database.job(await database.accept())).toMatchObject({ message: 'Waiting to be processed' })
  const past = await database.accept({ startAt: '2020-01-01T00:00:00Z' })
  expect(await database.job(past)).toMatchObject({ message: 'Waiting to be processed' })
  const window = { from: '2026-01-01', to: '2026-02-01' }
  const first = await database.accept({ ...window, startAt })
  expect(await database.job(first)).toMatchObject({ message: scheduled })
  const second = await database.accept({ ...window, startAt, onConflict: 'wait' })
  expect(await database.job(second)).toMatchObject({ message: 'Waiting for the window' })
  await cancelJob(database.db, await database.addUser('admin'), first)
  await wakeWaiters(database.db)
  expect(await database.job(second)).toMatchObject({ message: `The window is free. ${scheduled}` })
})

test('an accepted import notifies the dispatchers', async () => {
  const client = await database.pool.connect()
  try {
    await client.query('listen aduana_dispatch')
    const told = new Promise((resolve) => client.once('notification', resolve))
    await database.accept()
    await told
  } finally {
    await client.query('unlisten *')
    client.release()
  }
})

test('an acceptance that fails before its commit stores nothing', async () => {
  const trail = await count('audit_log')
  armFailPoint('accept.before-commit', () => {
    throw new Error('died')
  })
  await expect(database.accept({ from: '2024-01-01', to: '2024-02-01' })).rejects.toThrow('died')
  for (const table of ['jobs', 'imports', 'artifacts', 'event_log', 'window_locks'])
    expect(await count(table), table).toBe(0)
  expect(await count('audit_log')).toBe(trail)
})

test.each([
  ['viewer', false],
  ['operator', true],
  ['steward', true],
  ['admin', true],
] as const)('a %s may import: %s', async (role, may) => {
  const accepting = database.accept({}, { as: await database.addUser(role) })
  if (may) await accepting
  else expect(await refusal(accepting)).toMatchObject({ code: 'forbidden' })
})

test('an unknown dataset is refused, and the error lists the known ones', async () => {
  const error = await refusal(database.accept({ dataset: 'nothing' }))
  expect(error).toMatchObject({ code: 'unknown_dataset', message: expect.stringContaining('production') })
})

describe('the same bytes', () => {
  test('for the same dataset are refused with the name of the first job', async () => {
    const sha256 = freshSha()
    const first = await database.accept({}, { sha256 })
    const error = await refusal(database.accept({}, { sha256 }))
    expect(error).toMatchObject({
      code: 'already_imported',
      extra: { jobId: first },
      message: expect.stringMatching(`${first} \\(QUEUED\\).*force=true`),
    })
    expect(await count('imports')).toBe(1)
  })

  test('are accepted with force, and errors still name the first job', async () => {
    const sha256 = freshSha()
    const forcedFirst = await database.accept({ force: 'true' }, { sha256 })
    const first = await database.accept({}, { sha256 })
    await database.accept({ force: 'true' }, { sha256 })
    const error = await refusal(database.accept({}, { sha256 }))
    expect(error.extra).toEqual({ jobId: first })
    expect(first).not.toBe(forcedFirst)
  })

  test('for another dataset are accepted', async () => {
    const sha256 = freshSha()
    await database.accept({}, { sha256 })
    await database.accept({ dataset: 'orders' }, { sha256 })
  })

  test.each([
    ['failed', `status = 'FAILED', error = '{}', completed_at = now()`],
    ['was cancelled', `status = 'CANCELLED', completed_at = now()`],
    ['was undone', 'batch_deleted = true'],
    ['was a dry run', 'dry_run = true'],
  ])('are accepted again after the first job %s', async (_, change) => {
    const sha256 = freshSha()
    const first = await database.accept({}, { sha256 })
    await database.pool.query(`update jobs set ${change} where id = $1`, [first])
    const second = await database.accept({}, { sha256 })
    expect((await refusal(database.accept({}, { sha256 }))).extra).toEqual({ jobId: second })
  })

  test('of fifty uploads at once are accepted once', async () => {
    const sha256 = freshSha()
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, () => database.accept({}, { sha256 })),
    )
    const accepted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(accepted).toHaveLength(1)
    expect(refused).toHaveLength(49)
    for (const error of refused)
      expect(error).toMatchObject({ code: 'already_imported', extra: { jobId: accepted[0] } })
  })
})

test('jobs beyond the queue capacity are refused until a waiting job leaves the queue', async () => {
  const limit = { maxQueued: 3 }
  const ids = await Promise.all([1, 2, 3].map(() => database.accept({}, limit)))
  const error = await refusal(database.accept({}, limit))
  expect(error).toMatchObject({ code: 'queue_full', extra: { retryAfterSeconds: 30 } })
  expect(error.message).toMatch(/^3 jobs are waiting/)
  await database.pool.query(`update jobs set status = 'PROCESSING' where id = $1`, [ids[0]])
  await database.accept({}, limit)
})

test('one tenant cannot use the whole queue capacity, and the error names the limit that was reached', async () => {
  const limit = { maxQueued: 5, maxQueuedPerTenant: 4 }
  const [big, small] = [
    await database.addUser('operator', { tenant: 'big' }),
    await database.addUser('operator', { tenant: 'small' }),
  ]
  for (let n = 0; n < 4; n += 1) await database.accept({}, { ...limit, as: big })
  const own = await refusal(database.accept({}, { ...limit, as: big }))
  expect(own).toMatchObject({ code: 'queue_full', extra: { limit: 'tenant', retryAfterSeconds: 30 } })
  expect(own.message).toContain('4 jobs of "big" are waiting')
  await database.accept({}, { ...limit, as: small })
  const all = await refusal(database.accept({}, { ...limit, as: small }))
  expect(all).toMatchObject({ code: 'queue_full', extra: { limit: 'installation' } })
})

describe('a declared window', () => {
  const JANUARY = { from: '2024-01-01', to: '2024-02-01' }

  test('is reserved: another import of it is refused with the name of its holder', async () => {
    const first = await database.accept(JANUARY)
    const error = await refusal(database.accept({ from: '2024-01-31', to: '2024-03-01' }))
    expect(error).toMatchObject({ code: 'window_locked', extra: { jobId: first } })
    expect(await count('jobs')).toBe(1)
    await database.accept({ from: '2024-02-01', to: '2024-03-01' })
  })

  test('can be waited for, and later imports wait behind', async () => {
    const first = await database.accept(JANUARY)
    const second = await database.accept({ ...JANUARY, onConflict: 'wait' })
    expect(await database.job(second)).toMatchObject({ status: 'QUEUED', waiting_for: 'window' })
    const error = await refusal(database.accept(JANUARY))
    expect([first, second]).toContain(error.extra.jobId)
  })

  test('of many uploads at once is reserved once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => database.accept(JANUARY)))
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'window_locked' })
  })

  test.each([
    ['only a beginning', { from: '2024-01-01' }, 'requires both from'],
    ['only an end', { to: '2024-01-01' }, 'requires both from'],
    ['no days', { from: '2024-01-01', to: '2024-01-01' }, 'must be before'],
    ['a year that was meant to be another', { from: '2004-01-01', to: '2024-01-31' }, 'at most 400'],
    ['days that no record can have', { from: '2200-01-01', to: '2200-02-01' }, 'is outside the range of'],
    [
      'a scope where there is none',
      { from: '2024-01-01', to: '2024-02-01', scope: 'x' },
      'has no replace scope',
    ],
    ['a scope where there is none, without days', { scope: 'x' }, 'has no replace scope'],
    ['its ends the wrong way round', { from: '2024-02-01', to: '2024-01-01' }, 'must be before'],
  ])('with %s is refused', async (_, form, message) => {
    const error = await refusal(database.accept(form))
    expect(error).toMatchObject({ code: 'bad_window', message: expect.stringContaining(message) })
  })

  test('that is a scope without days is refused', async () => {
    const byLot = DatasetDefinition.parse({ ...production, code: 'by_lot', replaceScope: 'lote' })
    await registerDatasets(database.db, [byLot])
    const error = await refusal(database.accept({ dataset: 'by_lot', scope: 'L1' }))
    expect(error).toMatchObject({
      code: 'bad_window',
      message: expect.stringContaining('requires a window'),
    })
    await database.accept({ dataset: 'by_lot', scope: 'L1', from: '2024-01-01', to: '2024-02-01' })
  })
})

test.each([
  ['production', 'upsert', 'has no key'],
  ['orders', 'append', 'only be loaded with the mode upsert'],
])('%s cannot be loaded by %s', async (dataset, mode, message) => {
  const error = await refusal(database.accept({ dataset, mode }))
  expect(error).toMatchObject({ code: 'bad_request', message: expect.stringContaining(message) })
})
