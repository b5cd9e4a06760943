import { admit, wakeWaiters } from '@aduana/jobs/dispatch/dispatch'
import { unblockedWaiters } from '@aduana/jobs/windows/windows'
import type { TestDatabase } from '@aduana/testkit/database'
import { PROMISES, type PromiseCheck } from '../../../promises.ts'
import { LIMITS } from './worlds.ts'

/** Promises that hold after every transaction, whatever runs concurrently. */
const ALWAYS: readonly PromiseCheck[] = [
  ...PROMISES.filter(({ broken }) =>
    ['locks that overlap', 'an attempt that was not admitted exactly once'].includes(broken),
  ),
  {
    promise: 'G4',
    broken: 'a lock, waiter, lease or running stage attempt of a final job',
    sql: `select k.what || ' of ' || j.id || ' ' || j.status as what from jobs j join (
        select 'lock' as what, job_id from window_locks union all select 'waiter', job_id from window_waiters
        union all select 'lease', job_id from window_leases
        union all select 'stage attempt', job_id from stage_results where state = 'running') k on k.job_id = j.id
      where j.completed_at is not null`,
  },
  {
    promise: 'G4',
    broken: 'a job that waits for a window without being a waiter, or the other way round',
    sql: `select j.id || ' ' || j.status as what from jobs j
      where (j.waiting_for = 'window') is distinct from (exists (select from window_waiters w where w.job_id = j.id))
        and (j.waiting_for = 'window' or exists (select from window_waiters w where w.job_id = j.id))`,
  },
  {
    promise: 'G3',
    broken: 'a queued import that neither holds nor waits for its declared window',
    sql: `select j.id::text as what from jobs j join imports i on i.job_id = j.id
      where j.status = 'QUEUED' and i.declared_window is not null and not j.dry_run
        and not exists (select from window_locks l where l.job_id = j.id)
        and not exists (select from window_waiters w where w.job_id = j.id)`,
  },
  {
    promise: 'G2',
    broken: 'two open stage attempts of one job',
    sql: `select job_id::text as what from stage_results where state = 'running' group by job_id having count(*) > 1`,
  },
  {
    promise: 'G2',
    broken: 'an event of another ending than that of the job, or a duplicate event',
    sql: `select j.id || ' ' || e.type as what from jobs j
        cross join (values ('job.completed', 'COMPLETED'), ('job.cancelled', 'CANCELLED')) as e(type, status)
        left join event_log l on l.job_id = j.id and l.type = e.type
      group by j.id, e.type, e.status having count(l.id) > (j.status = e.status)::int`,
  },
  {
    promise: 'G2',
    broken: 'an import that is undone twice',
    sql: `select parent_id::text as what from jobs where type = 'undo' and status not in ('FAILED', 'CANCELLED')
      group by parent_id having count(*) > 1`,
  },
  {
    promise: 'G2',
    broken: 'the same bytes accepted twice',
    sql: `select content_sha256 as what from jobs where type = 'import' and status not in ('FAILED', 'CANCELLED')
      group by content_sha256 having count(*) > 1`,
  },
]

const EVERY_PROMISE = ALWAYS.map(
  ({ promise, broken, sql }) => `select '${promise}: ${broken}: ' || p.what as what from (${sql}) p`,
).join(' union all ')

/** Rounds after which dispatchers find no more work. */
const MAX_ROUNDS = 10

/** Returns the promises that are broken in an idle database, then those that are broken once dispatchers have run. */
export async function brokenPromises(database: TestDatabase): Promise<string[]> {
  const broken = await brokenNow(database)
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const unblocked = await unblockedWaiters(database.db)
    if (unblocked.length > 0) await wakeWaiters(database.db)
    const admitted = await admit(database.db, LIMITS)
    if (unblocked.length + admitted.length === 0)
      return [...broken, ...(await brokenNow(database)).map((what) => `after dispatching: ${what}`)]
  }
  return [...broken, `G4: jobs are woken or admitted without end: ${await unblockedWaiters(database.db)}`]
}

async function brokenNow({ pool }: TestDatabase): Promise<string[]> {
  return (await pool.query<{ what: string }>(EVERY_PROMISE)).rows.map(({ what }) => what)
}
