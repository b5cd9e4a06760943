import { setTimeout as delay } from 'node:timers/promises'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { describe, test } from 'vitest'
import { noteSeconds } from '../testing/measure.ts'
import { type MonthFile, monthFile } from '../testing/month-files.ts'
import { expectAllLoaded } from '../testing/settled.ts'

/** Loads a file, then loads a changed file of the same month during a fault. */
async function secondLoad(
  what: string,
  fault: (system: TestSystem, other: pg.Client, load: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const system = await createTestSystem({ workers: 1 })
  const other = new pg.Client({ connectionString: system.database.url })
  await other.connect()
  try {
    await system.import(monthFile(0, 'old', 100).content, { dataset: 'production' })
    const next: MonthFile = monthFile(0, 'new', 100)
    await fault(system, other, () => system.accept(next.content, { dataset: 'production' }))
    const over = performance.now()
    await expectReplaced(system, next)
    await noteSeconds(`${what}: from its end until the import is final`, over)
  } finally {
    await other.end()
    await system.close()
  }
}

/** Checks that both jobs are complete and that the rows of the second have replaced those of the first. */
function expectReplaced(system: TestSystem, next: MonthFile): Promise<void> {
  return expectAllLoaded(system, [{ content: '', rows: [] }, next])
}

const tried = (system: TestSystem, jobId: string, words: RegExp) =>
  until(
    async () => {
      const attempts = await system.database.pool.query<{ error: { detail: string } | null }>(
        `select error from stage_results where job_id = $1 and stage = 'load' and state = 'failed'`,
        [jobId],
      )
      return attempts.rows.some((row) => words.test(row.error?.detail ?? ''))
    },
    { within: 90_000, what: `a try of the load has failed with ${words}` },
  )

describe.concurrent('a load is retried and loads once', { timeout: 300_000 }, () => {
  test('when another session locks its table for longer than the lock timeout', () =>
    secondLoad('lock on the target', async (system, other, load) => {
      await other.query('begin; lock table fact_production in exclusive mode')
      await tried(system, await load(), /lock timeout/)
      await other.query('rollback')
    }))

  test('when another session locks a row that it replaces for longer than the lock timeout', () =>
    secondLoad('lock on a row', async (system, other, load) => {
      await other.query('begin; select from fact_production limit 1 for update')
      await tried(system, await load(), /lock timeout/)
      await other.query('rollback')
    }))

  test('when it is the victim of a deadlock', () =>
    secondLoad('deadlock', async (system, other, load) => {
      system.database.expectDeadlocks()
      const { database } = new pg.Client({ connectionString: system.database.url })
      // Only the load checks for deadlocks, and late enough that the cycle is complete by then.
      await other.query(`alter database ${pg.escapeIdentifier(database ?? '')} set deadlock_timeout = '3s'`)
      await other.query(`set deadlock_timeout = '10min'`)
      await system.database.pool.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name like 'aduana%'`,
      )
      await other.query('begin; select from fact_production limit 1 for update')
      const id = await load()
      await until(
        async () => {
          const waiting = await system.database.pool.query(
            `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
               and query ilike 'delete %'`,
          )
          return waiting.rowCount === 1
        },
        { within: 60_000, what: 'the load waits for the row' },
      )
      await other.query('select from window_locks where job_id = $1 for update', [id])
      await other.query('rollback')
      await tried(system, id, /deadlock detected/)
    }))

  // The disk of the server is not full: a trigger raises the error of a full disk.
  test('when the disk of PostgreSQL is full', () =>
    secondLoad('PostgreSQL: disk full', async (system, other, load) => {
      await other.query(`create function full_disk() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`)
      // On the partitions: a row trigger on the partitioned table would not fit the definition of the dataset.
      const months = await other.query<{ name: string }>(
        `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'fact_production'::regclass`,
      )
      for (const { name } of months.rows)
        await other.query(
          `create trigger full_disk before insert on ${name} for each row execute function full_disk()`,
        )
      await tried(system, await load(), /No space left on device/)
      await delay(2000)
      await other.query('drop function full_disk() cascade')
    }))

  test('but is not retried when the table refuses its rows', async ({ expect }) => {
    const system = await createTestSystem({ workers: 1 })
    try {
      await system.database.pool.query(
        'alter table fact_production add constraint no_zero check (cantidad > 0) not valid',
      )
      const job = await system.import(monthFile(0, 'z', 100).content, { dataset: 'production' })
      expect(job).toMatchObject({
        status: 'FAILED',
        error: { code: 'constraint_violated', constraint: 'no_zero' },
      })
      expect(job.attempts.filter(({ stage }) => stage === 'load')).toHaveLength(1)
    } finally {
      await system.close()
    }
  })
})
