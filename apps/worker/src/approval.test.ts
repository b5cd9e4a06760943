import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { readJob } from '@aduana/jobs/read/jobs'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  approve,
  cantidades,
  day,
  events,
  held,
  openSystem,
  order,
  preview,
  waiting,
} from './testing/approvals.ts'

describe('an import that requires approval', () => {
  let system: TestSystem
  beforeAll(async () => {
    system = await openSystem()
    await system.startWorker()
  })
  afterAll(() => system.close())

  test('waits without window and worker, and then publishes exactly what was approved', async () => {
    await system.import(day('2024-01-01', [1, 2, 3]), { dataset: 'production' })
    const owner = await system.addUser('operator')
    const id = await system.accept(
      day('2024-01-01', [1, 5]),
      { dataset: 'production', requireApproval: 'true', from: '2024-01-01', to: '2024-01-02' },
      owner,
    )
    const job = await waiting(system, id)
    expect(job).toMatchObject({ status: 'PROCESSING', dryRun: false, error: null })
    expect(job.message).toContain('insert 0 rows, change 1, leave 1 unchanged and remove 1')
    expect(await held(system, id)).toBe(0)
    expect(await cantidades(system, '2024-01-01')).toEqual([1, 2, 3])
    const seen = await preview(system, id, owner)
    expect(seen).toMatchObject({
      needsApproval: [{ code: 'requested' }],
      approvedBy: null,
      preview: { totals: { inserted: 0, changed: 1, unchanged: 1, removed: 1 } },
    })
    expect(job.result).toMatchObject({ preview: { changed: 1, basis: seen.basis } })

    const approved = await approve(system, id, owner, seen.basis)
    expect(approved.waitingFor).toBeNull()
    expect(await system.finished(id, 60_000)).toMatchObject({
      status: 'COMPLETED',
      counts: { loaded: 2, removed: 3 },
    })
    expect(await cantidades(system, '2024-01-01')).toEqual([1, 5])
    expect(await preview(system, id)).toMatchObject({ approvedBy: { id: owner.userId, email: owner.email } })
    expect(await events(system, id)).toEqual(['job.waiting', 'job.approved'])
    await expect(approve(system, id, owner)).rejects.toMatchObject({ code: 'illegal_transition' })
  })

  test('the approval lapses when the rows change in the meantime: the import waits again and names the job that changed them', async () => {
    await system.import(day('2024-02-01', [1, 2, 3]), { dataset: 'production' })
    const id = await system.accept(day('2024-02-01', [7, 7, 7]), {
      dataset: 'production',
      requireApproval: 'true',
    })
    await waiting(system, id)
    const seen = await preview(system, id)
    const other = await system.import(day('2024-02-01', [7, 2]), { dataset: 'production' })
    expect(other.status).toBe('COMPLETED')
    await approve(system, id, system.admin, seen.basis)
    const again = await until(
      async () => {
        const job = await readJob(system.database.db, system.admin, id)
        return job.waitingFor === 'approval' && job.message.includes('lapsed') ? job : undefined
      },
      { within: 60_000, what: 'the approval lapses' },
    )
    expect(again.message).toContain(`job ${other.id} changed the dataset`)
    expect(await cantidades(system, '2024-02-01')).toEqual([7, 2])
    const fresh = await preview(system, id)
    expect(fresh.basis).not.toBe(seen.basis)
    expect(fresh).toMatchObject({
      approvedBy: null,
      preview: { totals: { inserted: 1, changed: 1, unchanged: 1, removed: 0 } },
    })
    expect(fresh.needsApproval.map(({ code }) => code)).toEqual(['requested', 'lapsed'])
    await expect(approve(system, id, system.admin, seen.basis)).rejects.toMatchObject({
      code: 'approval_lapsed',
      extra: { basis: fresh.basis },
    })
    await approve(system, id, system.admin, fresh.basis)
    expect(await system.finished(id, 60_000)).toMatchObject({ status: 'COMPLETED' })
    expect(await cantidades(system, '2024-02-01')).toEqual([7, 7, 7])
    expect(await events(system, id)).toEqual([
      'job.waiting',
      'job.approved',
      'job.approval-lapsed',
      'job.waiting',
      'job.approved',
    ])
  })

  test('the approval does not lapse when other days change', async () => {
    const id = await system.accept(day('2024-02-10', [1]), { dataset: 'production', requireApproval: 'true' })
    await waiting(system, id)
    await system.import(day('2024-02-11', [1]), { dataset: 'production' })
    await approve(system, id)
    expect(await system.finished(id, 60_000)).toMatchObject({ status: 'COMPLETED' })
  })

  test('is rejected by cancelling it, and can no longer be approved', async () => {
    const id = await system.accept(day('2024-02-20', [1]), { dataset: 'production', requireApproval: 'true' })
    await waiting(system, id)
    expect(await cancelJob(system.database.db, system.admin, id)).toMatchObject({ status: 'CANCELLED' })
    await expect(approve(system, id)).rejects.toMatchObject({ code: 'illegal_transition' })
    expect(await cantidades(system, '2024-02-20')).toEqual([])
    expect(await held(system, id)).toBe(0)
  })

  test('is approved once or cancelled, never both, by concurrent requests', async () => {
    for (const round of [1, 2, 3, 4]) {
      const date = `2024-03-0${round}`
      const id = await system.accept(day(date, [round]), { dataset: 'production', requireApproval: 'true' })
      await waiting(system, id)
      const ends = await Promise.allSettled([
        approve(system, id),
        approve(system, id),
        cancelJob(system.database.db, system.admin, id),
        approve(system, id),
      ])
      const approvals = [ends[0], ends[1], ends[3]].filter((end) => end?.status === 'fulfilled').length
      expect(approvals).toBeLessThanOrEqual(1)
      const job = await system.finished(id, 60_000)
      expect(await cantidades(system, date)).toEqual(job.status === 'COMPLETED' ? [round] : [])
      if (approvals === 0) expect(job.status).toBe('CANCELLED')
    }
  })

  test('cannot be approved before it waits for approval, nor by a user without access', async () => {
    const id = await system.accept(day('2024-03-10', [1]), {
      dataset: 'production',
      requireApproval: 'true',
      startAt: '2099-01-01T00:00:00Z',
    })
    await expect(approve(system, id)).rejects.toMatchObject({ code: 'illegal_transition' })
    await expect(preview(system, id)).rejects.toMatchObject({ code: 'not_found' })
    const stranger = await system.addUser('operator')
    await expect(approve(system, id, stranger)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('a dataset with a threshold', () => {
  let system: TestSystem
  beforeAll(async () => {
    system = await openSystem()
    await system.startWorker()
  })
  afterAll(() => system.close())

  test('loads small changes without approval, and shows their preview', async () => {
    await system.import(day('2024-01-01', [1, 2, 3, 4]), { dataset: 'guarded' })
    const job = await system.import(day('2024-01-01', [1, 2, 3, 5, 6]), { dataset: 'guarded' })
    expect(job.status).toBe('COMPLETED')
    expect(await preview(system, job.id)).toMatchObject({
      needsApproval: [],
      approvedBy: null,
      preview: { totals: { inserted: 1, changed: 1, unchanged: 3, removed: 0 } },
    })
  })

  test('requires the approval of a steward for large changes, not that of the operator who uploads them', async () => {
    const operator = await system.addUser('operator')
    const id = await system.accept(day('2024-01-01', [9, 9, 3, 5, 6]), { dataset: 'guarded' }, operator)
    const job = await waiting(system, id)
    expect(job.message).toContain(
      'the import changes or removes 2 of 5 rows (40.0 %), and guarded requires an approval above 25.0 %',
    )
    await expect(approve(system, id, operator)).rejects.toMatchObject({ code: 'forbidden' })
    const steward = await system.addUser('steward')
    expect((await preview(system, id, steward)).needsApproval).toMatchObject([{ code: 'too_large_share' }])
    await approve(system, id, steward)
    expect(await system.finished(id, 60_000)).toMatchObject({ status: 'COMPLETED' })
    expect(await cantidades(system, '2024-01-01')).toEqual([9, 9, 3, 5, 6])
  })

  test('hides the preview from a steward of another company', async () => {
    const id = await system.accept(day('2024-01-01', [0, 0, 0, 0, 0]), { dataset: 'guarded' })
    await waiting(system, id)
    const steward = await system.addUser('steward', { companies: ['North'] })
    await expect(approve(system, id, steward)).rejects.toMatchObject({ code: 'not_found' })
    await cancelJob(system.database.db, system.admin, id)
  })

  test('makes the approval lapse when the dataset changes during the load, and publishes nothing', async () => {
    const first = await system.import(order('O1', 1, '2024-05-01', '2024-05-01 10:00:00'), {
      dataset: 'guarded_orders',
    })
    const id = await system.accept(order('O1', 2, '2024-05-05', '2024-05-02 10:00:00'), {
      dataset: 'guarded_orders',
      requireApproval: 'true',
    })
    await waiting(system, id)
    const { pool } = system.database
    const other = await pool.connect()
    try {
      // The load passes the approval and pauses in its transaction, before it has written a row.
      await other.query('begin')
      await other.query('lock table order_detail in share mode')
      await approve(system, id)
      await until(
        async () =>
          (await pool.query(`select from pg_locks where not granted and relation = 'order_detail'::regclass`))
            .rows.length > 0,
        { within: 60_000, what: 'the load waits for the table' },
      )
      await other.query(
        `insert into dataset_updates (dataset_id, job_id, event_key, days, rows)
         select dataset_id, id, 'by another load', '{[2024-06-01,2024-06-02)}', 1 from jobs where id = $1`,
        [first.id],
      )
      await other.query('commit')
    } finally {
      other.release()
    }
    const again = await waiting(system, id)
    expect(again.message).toContain(`job ${first.id} changed the dataset`)
    expect((await pool.query('select items_count from order_detail')).rows).toEqual([{ items_count: 1 }])
    await approve(system, id)
    expect(await system.finished(id, 60_000)).toMatchObject({ status: 'COMPLETED', counts: { updated: 1 } })
    expect((await pool.query('select items_count from order_detail')).rows).toEqual([{ items_count: 2 }])
  })
})
