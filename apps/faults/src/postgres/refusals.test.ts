import { setTimeout as delay } from 'node:timers/promises'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { describe, test } from 'vitest'
import { noteSeconds } from '../testing/measure.ts'
import { type MonthFile, monthFile } from '../testing/month-files.ts'
import { expectAllLoaded } from '../testing/settled.ts'

/** An installation that has loaded a month, whose file is loaded again, changed, while `fault` lasts. */
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

/** Both jobs are complete, and the rows of the first have given way to those of the second. */
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

describe.concurrent('a load is tried again and loads once', { timeout: 300_000 }, () => {
  test('when somebody holds a lock on its table for longer than it waits', () =>
    secondLoad('lock on the target', async (system, other, load) => {
      await other.query('begin; lock table fact_production in exclusive mode')
      await tried(system, await load(), /lock timeout/)
      await other.query('rollback')
    }))

  test('when somebody holds a lock on a row that it replaces for longer than it waits', () =>
    secondLoad('lock on a row', async (system, other, load) => {
      await other.query('begin; select from fact_production limit 1 for update')
      await tried(system, await load(), /lock timeout/)
      await other.query('rollback')
    }))

  test('when it is the victim of a deadlock', () =>
    secondLoad('deadlock', async (system, other, load) => {
      system.database.expectDeadlocks()
      const { database } = new pg.Client({ connectionString: system.database.url })
      // Only the load looks for deadlocks while this lasts, and late enough that the circle is closed by then.
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

  // The server itself has room; a trigger refuses the rows with the state that it would give without.
  test('when PostgreSQL says that its disk is full', () =>
    secondLoad('PostgreSQL: disk full', async (system, other, load) => {
      await other.query(`create function full_disk() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`)
      // On the months themselves: a partitioned table with a row trigger does not fit its definition.
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

  test('but not when its rows themselves are refused', async ({ expect }) => {
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
