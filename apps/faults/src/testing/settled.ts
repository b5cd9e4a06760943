import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import { brokenGuarantees } from '../guarantees.ts'
import { loadedRows, type MonthFile, rowsOf } from './month-files.ts'

/**
 * Waits until every job of an installation is final. Checks that all of them completed, that the target contains the
 * rows of `files` and no others, and that nothing is left over.
 */
export async function expectAllLoaded(
  system: TestSystem,
  files: readonly MonthFile[],
  within = 180_000,
): Promise<void> {
  await allFinal(system, within)
  expect(await endings(system)).toEqual(files.map(() => 'COMPLETED'))
  expect(await loadedRows(system)).toEqual(rowsOf(files))
  expect(await leftovers(system)).toEqual([])
  expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
}

/** Waits until every job is final. */
export async function allFinal(system: TestSystem, within = 180_000): Promise<void> {
  await until(
    async () => {
      const open = await system.database.pool.query(
        `select id, status, stage, message from jobs where completed_at is null`,
      )
      return open.rowCount === 0
    },
    { within, what: 'every job is final' },
  ).catch(async (error: unknown) => {
    throw new Error(await explain(system), { cause: error })
  })
}

/** Returns how each job ended: its state, with the failure if it failed. */
async function endings(system: TestSystem): Promise<string[]> {
  const rows = await system.database.pool.query<{ ending: string }>(
    `select concat_ws(' ', status, error->>'code', error->>'detail') as ending from jobs order by created_at`,
  )
  return rows.rows.map(({ ending }) => ending)
}

/** Returns what should not exist once every job is final. */
async function leftovers(system: TestSystem): Promise<string[]> {
  const rows = await system.database.pool.query<{ left: string }>(
    `select 'lock of ' || job_id as left from window_locks
     union all select 'lease of ' || job_id from window_leases
     union all select 'waiter ' || job_id from window_waiters
     union all select 'running ' || stage || ' of ' || job_id from stage_results where state = 'running'
     union all select 'open job ' || id from jobs where completed_at is null
     union all select 'fresh table ' || relname from pg_class where relname ~ '^load_[0-9]' and relkind = 'r'
     union all select 'updates of ' || j.id || ': ' || count(u.id) from jobs j left join dataset_updates u on u.job_id = j.id
       group by j.id having count(u.id) <> (j.status = 'COMPLETED')::int`,
  )
  return rows.rows.map(({ left }) => left)
}

async function explain(system: TestSystem): Promise<string> {
  const jobs = await system.database.pool.query(
    `select j.id, j.status, j.attempt, j.stage, j.message, j.waiting_for, j.lost_count, j.admitted_at,
       (select json_agg(concat_ws(' ', s.stage, s.attempt, s.try, s.state, s.heartbeat_at)) from stage_results s where s.job_id = j.id) as attempts
     from jobs j where j.completed_at is null`,
  )
  const lines = system.processes().flatMap((process) => process.lines.slice(-30))
  return `${JSON.stringify(jobs.rows, null, 1)}\n${lines.join('\n')}`
}
