import { cancelJob } from '@aduana/jobs/cancel'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HEADER, sample } from './production-file.ts'

const KILLS = [
  ...['parse', 'validate', 'quarantine', 'fan-out'].flatMap((stage) => [
    `stage.before-work:${stage}`,
    `stage.before-commit:${stage}`,
    `stage.after-commit:${stage}`,
  ]),
  'queue.before-acknowledge:load',
  'artifact.before-rename',
  'artifact.after-rename',
  'load.before-transaction',
  'load.after-delete',
  'load.during-copy',
  'load.after-copy',
  'load.before-commit',
  'load.after-commit',
  'dispatch.after-commit',
  'dispatch.after-enqueue',
]

async function targetRows(system: TestSystem) {
  const rows = await system.database.pool.query(
    `select fecha_contabilizacion, m.codigo, w.codigo as operator, turno, material, lote, cantidad, peso_neto
     from fact_production f join dim_maquina m on m.id = f.maquina_id join dim_maquinista w on w.id = f.maquinista_id
     order by lote`,
  )
  return rows.rows
}

describe.concurrent('a worker killed with SIGKILL', { timeout: 90_000 }, () => {
  test.for(KILLS)('at %s leaves the same rows as without the kill', async (point, { expect }) => {
    const system = await createTestSystem()
    try {
      await system.database.pool.query('select 1')
      const doomed = await system.startWorker({ ADUANA_FAIL_POINTS: `${point}=kill` })
      const jobId = await system.accept(sample('k'), { dataset: 'production' })
      expect(await doomed.exited).toEqual({ code: null, signal: 'SIGKILL' })
      await system.startWorker()
      const job = await system.finished(jobId, 60_000)
      expect(job).toMatchObject({
        status: 'COMPLETED',
        counts: { records: 304, loaded: 300, inserted: 300, quarantined: 3, duplicates: 1, removed: 0 },
      })
      const rows = await targetRows(system)
      expect(rows).toHaveLength(300)
      expect(new Set(rows.map((row: { lote: string }) => row.lote)).size).toBe(300)
      await expectSettled(system)
    } finally {
      await system.close()
    }
  })
})

/** Nothing is left over: no lock, no lease, no waiter, no run that is open, one update for each job. */
async function expectSettled(system: TestSystem): Promise<void> {
  const left = await system.database.pool.query(
    `select (select count(*) from window_locks)::int as locks, (select count(*) from window_leases)::int as leases,
       (select count(*) from window_waiters)::int as waiters,
       (select count(*) from stage_results where state = 'running')::int as running,
       (select count(*) from jobs where completed_at is null)::int as open,
       (select count(*) from dataset_updates)::int - (select count(*) from jobs where status = 'COMPLETED')::int as updates`,
  )
  expect(left.rows).toEqual([{ locks: 0, leases: 0, waiters: 0, running: 0, open: 0, updates: 0 }])
}

describe('an installation', { timeout: 90_000 }, () => {
  let system: TestSystem
  beforeAll(async () => {
    system = await createTestSystem({ workers: 2 })
  })
  afterAll(() => system.close())

  test('loses no import when Redis loses all its data while they run', async () => {
    const ids: string[] = []
    for (let index = 0; index < 12; index += 1) {
      ids.push(await system.accept(sample(`r${index}_`), { dataset: 'production' }))
      if (index % 3 === 1) await system.redis.wipe()
    }
    await until(
      async () => {
        const started = await system.database.pool.query(
          `select 1 from stage_results where state = 'done' limit 1`,
        )
        return started.rowCount === 1
      },
      { what: 'a stage is done' },
    )
    await system.redis.wipe()
    for (const id of ids) expect((await system.finished(id, 60_000)).status).toBe('COMPLETED')
    expect(await targetRows(system)).toHaveLength(300)
    await expectSettled(system)
  })

  test('gives a window to one import at a time, in the order in which they came', async () => {
    const before = await system.database.pool.query(`select now() as t`)
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, index) => system.accept(sample(`w${index}_`), { dataset: 'production' })),
    )
    for (const id of ids) expect((await system.finished(id, 60_000)).status).toBe('COMPLETED')
    const loads = await system.database.pool.query(
      `select loaded_at, completed_at from jobs where created_at >= $1 order by loaded_at`,
      [before.rows[0].t],
    )
    for (let index = 1; index < loads.rows.length; index += 1)
      expect(loads.rows[index].loaded_at.getTime()).toBeGreaterThanOrEqual(
        loads.rows[index - 1].completed_at.getTime(),
      )
    expect(await targetRows(system)).toHaveLength(300)
    await expectSettled(system)
  })

  test('accepts the same bytes once, however often they come at the same time', async () => {
    const content = sample('same_')
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => system.accept(content, { dataset: 'production' })),
    )
    const accepted = results.filter((result) => result.status === 'fulfilled')
    expect(accepted).toHaveLength(1)
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
    expect(new Set(refused)).toEqual(new Set(['already_imported']))
    await system.finished(accepted[0]?.value ?? '')
  })

  test('stops an import that is cancelled and leaves nothing of it', async () => {
    const rows = Array.from({ length: 400_000 }, (_, index) => `2024-09-01;M001;W0001;1;PVC;X${index};1;1;`)
    const id = await system.accept(`${[HEADER, ...rows].join('\n')}\n`, { dataset: 'production' })
    await until(
      async () => {
        const job = await system.database.pool.query(
          `select 1 from stage_results where job_id = $1 and stage = 'load'`,
          [id],
        )
        return job.rowCount === 1
      },
      { what: 'the load has begun' },
    )
    await cancelJob(system.database.db, system.admin, id)
    const job = await system.finished(id, 5000)
    expect(job.status).toBe('CANCELLED')
    const left = await system.database.pool.query(
      `select 1 from fact_production where lote like 'X%' limit 1`,
    )
    expect(left.rowCount).toBe(0)
    await expectSettled(system)
  })

  test('goes on with an import whose worker was told to stop in the middle of copying', async () => {
    const one = await createTestSystem()
    try {
      const first = await one.startWorker({ ADUANA_FAIL_POINTS: 'load.during-copy=hang' })
      const id = await one.accept(sample('z'), { dataset: 'production' })
      await until(
        async () => {
          const busy = await one.database.pool.query(
            `select 1 from pg_stat_activity where datname = current_database() and query ilike 'copy %'
               and state = 'active'`,
          )
          return busy.rowCount === 1
        },
        { what: 'rows are being copied' },
      )
      await first.stop()
      expect(await first.exited).toEqual({ code: 0, signal: null })
      await one.startWorker()
      const job = await one.finished(id, 60_000)
      expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 300 } })
      expect(job.attempts.filter((attempt) => attempt.state === 'failed')).toEqual([])
      await expectSettled(one)
    } finally {
      await one.close()
    }
  })

  test('gives its work back without spending a try when it is told to stop', async () => {
    const rows = Array.from({ length: 300_000 }, (_, index) => `2024-10-01;M001;W0001;1;PVC;Y${index};1;1;`)
    const one = await createTestSystem({ workers: 1 })
    try {
      const id = await one.accept(`${[HEADER, ...rows].join('\n')}\n`, { dataset: 'production' })
      await until(
        async () => {
          const log = await one.database.pool.query(
            `select 1 from stage_results where job_id = $1 and stage = 'validate'`,
            [id],
          )
          return log.rowCount === 1
        },
        { what: 'the validation has begun' },
      )
      const first = one.processes()[0]
      await first?.stop()
      expect(await first?.exited).toEqual({ code: 0, signal: null })
      await one.startWorker()
      const job = await one.finished(id, 60_000)
      expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 300_000 } })
      expect(job.attempts.filter((attempt) => attempt.state === 'failed')).toEqual([])
    } finally {
      await one.close()
    }
  })
})
