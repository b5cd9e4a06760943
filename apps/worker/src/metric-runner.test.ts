import { inTransaction } from '@aduana/db/database'
import { cancelRun } from '@aduana/metrics/runs/manual'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { describe, test, vi } from 'vitest'
import { metricsOf, productionFile } from './testing/metrics.ts'

vi.setConfig({ testTimeout: 240_000, maxConcurrency: 4 })

const FILE = productionFile(['2024-01-01', 5], ['2024-01-01', 7], ['2024-01-02', 11])
const NO_RUNNER = { ADUANA_METRIC_CONCURRENCY: '0' }

/** SQL: a computation has read its dataset, and waits for permission to write. */
const WAITS_FOR_VALUES = `exists (select from pg_locks l join pg_class c on c.oid = l.relation
  where c.relname = 'daily_metrics' and not l.granted
    and l.database = (select oid from pg_database where datname = current_database()))`

/** Runs a test with its own installation. */
const withSystem =
  (work: (system: TestSystem, metrics: ReturnType<typeof metricsOf>) => Promise<void>) => async () => {
    const system = await createTestSystem({ metrics: true })
    try {
      await work(system, metricsOf(system))
    } finally {
      await system.close()
    }
  }

/** Locks the values against writes, as if a computation took long. */
async function holdValues(system: TestSystem): Promise<() => Promise<void>> {
  const client = await system.database.pool.connect()
  await client.query(
    `begin; set local idle_in_transaction_session_timeout = 0; lock table daily_metrics in share mode`,
  )
  return async () => {
    await client.query('rollback')
    client.release()
  }
}

describe.concurrent('the built-in runner', () => {
  test('whose process is killed while it computes leaves its runs to another', ({ expect }) =>
    withSystem(async (system, metrics) => {
      const doomed = await system.startWorker({ ADUANA_FAIL_POINTS: 'metrics.before-commit=kill' })
      await system.accept(FILE, { dataset: 'production' })
      expect(await doomed.exited).toMatchObject({ signal: 'SIGKILL' })
      expect(await metrics.values('production.pieces')).toEqual({})
      await system.startWorker()
      await metrics.settled()
      expect(await metrics.productionDifferences()).toEqual([])
      expect(Object.keys(await metrics.tally())).toEqual(['SUCCEEDED 1', 'SUCCEEDED 2'])
    })())

  test('that is frozen while it computes loses its runs, and changes nothing when it resumes', ({ expect }) =>
    withSystem(async (system, metrics) => {
      const frozen = await system.startWorker({ ADUANA_FAIL_POINTS: 'metrics.before-commit=stop' })
      await system.accept(FILE, { dataset: 'production' })
      await metrics.until('runs are at work', `exists (select from metric_runs where status = 'RUNNING')`)
      await system.startWorker()
      await metrics.until(
        'others have done them',
        `exists (select from metric_runs) and not exists (select from metric_runs where status <> 'SUCCEEDED')`,
      )
      const runs = () => metrics.query('select id, version, attempt, status from metric_runs order by id')
      const before = await runs()
      frozen.signal('SIGCONT')
      await frozen.untilLogged('metric_runner.lost', 60_000)
      await metrics.settled()
      expect(await runs()).toEqual(before)
      expect(await metrics.productionDifferences()).toEqual([])
      expect(
        await metrics.query(
          `select distinct body ->> 'type' as type from event_log where type = 'metric_run.timed_out'`,
        ),
      ).toHaveLength(1)
    })())

  test('finds runs whose jobs Redis has lost', ({ expect }) =>
    withSystem(async (system, metrics) => {
      const first = await system.startWorker(NO_RUNNER)
      const job = await system.import(FILE, { dataset: 'production' })
      expect(job.status).toBe('COMPLETED')
      await metrics.until(
        'the requests are delivered',
        `exists (select from event_log where outbound) and not exists (select from event_log where outbound and sent_at is null)`,
      )
      await first.stop()
      await system.redis.wipe()
      await system.startWorker()
      await metrics.settled()
      expect(await metrics.productionDifferences()).toEqual([])
      expect(Object.keys(await metrics.tally())).toEqual(['SUCCEEDED 1'])
    })())

  test('returns its runs to the queue when it stops, without using up an attempt', ({ expect }) =>
    withSystem(async (system, metrics) => {
      const release = await holdValues(system)
      try {
        const first = await system.startWorker()
        await system.accept(FILE, { dataset: 'production' })
        await metrics.until('runs are at work', `exists (select from metric_runs where status = 'RUNNING')`)
        await first.stop()
        expect(await first.exited).toEqual({ code: 0, signal: null })
        expect(Object.keys(await metrics.tally())).toEqual(['REQUESTED 1'])
      } finally {
        await release()
      }
      await system.startWorker()
      await metrics.settled()
      expect(Object.keys(await metrics.tally())).toEqual(['SUCCEEDED 1'])
      expect(await metrics.productionDifferences()).toEqual([])
    })())

  test('abandons a cancelled run at once and computes the others again, while imports continue', ({
    expect,
  }) =>
    withSystem(async (system, metrics) => {
      const release = await holdValues(system)
      let worker: Awaited<ReturnType<TestSystem['startWorker']>>
      try {
        worker = await system.startWorker()
        await system.accept(FILE, { dataset: 'production' })
        await metrics.until('runs are at work', `exists (select from metric_runs where status = 'RUNNING')`)
        const [lots] = await metrics.query(
          `select r.id from metric_runs r join metrics m on m.id = r.metric_id where m.code = 'production.lots'`,
        )
        await inTransaction(system.database.db, (tx) => cancelRun(tx, lots.id, null))
        await worker.untilLogged('metric_runner.lost', 30_000)
        const job = await system.import(productionFile(['2024-01-05', 1]), { dataset: 'production' })
        expect(job.status).toBe('COMPLETED')
        expect(Object.keys(await metrics.tally())).toContain('RUNNING 1')
      } finally {
        await release()
      }
      await metrics.settled()
      expect(await metrics.productionDifferences()).toEqual([])
      expect(
        await metrics.query(
          `select m.code, r.status from metric_runs r join metrics m on m.id = r.metric_id where r.status <> 'SUCCEEDED'`,
        ),
      ).toEqual([{ code: 'production.lots', status: 'CANCELLED' }])
      expect(await metrics.values('production.lots')).toEqual({ '2024-01-05': 1 })
    })())

  test('releases a table for a transaction that needs an exclusive lock, and starts again', ({ expect }) =>
    withSystem(async (system, metrics) => {
      const release = await holdValues(system)
      try {
        const worker = await system.startWorker()
        await system.accept(FILE, { dataset: 'production' })
        await metrics.until('values are to be written', WAITS_FOR_VALUES)
        const client = await system.database.pool.connect()
        await client.query(
          `begin; set local lock_timeout = '60s'; lock table fact_production in access exclusive mode`,
        )
        await client.query('rollback')
        client.release()
        await worker.untilLogged('metric_runner.yielded', 60_000)
      } finally {
        await release()
      }
      await metrics.settled()
      expect(Object.keys(await metrics.tally())).toEqual(['SUCCEEDED 1'])
      expect(await metrics.productionDifferences()).toEqual([])
    })())
})
