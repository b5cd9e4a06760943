import type { Day } from '@aduana/contracts/dates'
import { LOCKS, takeLock } from '@aduana/db/advisory-locks'
import type { Database, ReadTx, Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { type OpenJob, wakeDispatchers } from '../lifecycle/transitions.ts'

/**
 * The days `[from, to)` of a scope that a job may write. Null for both means the whole scope, for datasets without a window
 * column.
 */
export interface Window {
  scope: string
  from: Day | null
  to: Day | null
}

export interface WindowClaim {
  /** The claiming job, with its row locked, so that it cannot end meanwhile. */
  job: OpenJob
  datasetId: string
  windows: readonly Window[]
}

/**
 * Why a window is not free: another job holds it, an earlier accepted job waits for it, or an earlier accepted job is
 * being processed and has not found its days yet.
 */
export type Obstacle = { by: string; because: 'held' | 'waited-for' | 'not-known-yet' }

export type ClaimResult = { kind: 'held' } | ({ kind: 'taken' } & Obstacle)

const range = (window: Window) => sql<string>`daterange(${window.from}::date, ${window.to}::date)`

/**
 * Claims the windows of a job, all or none. A window is not free while another job holds an overlapping one, or while an
 * earlier accepted job waits for one. An import that finds its days in its file also waits for earlier accepted imports that
 * are still reading theirs. So of two concurrent imports of one day the later accepted one wins, whatever happens to the
 * workers. Windows that the job already holds stay claimed. In addition, the exclusion constraint of `window_locks` rejects
 * any overlap.
 */
export async function claimWindows(tx: Tx, claim: WindowClaim): Promise<ClaimResult> {
  await takeLock(tx, LOCKS.windows(claim.datasetId))
  const wanted: Window[] = []
  for (const window of claim.windows) if (!(await holds(tx, claim, window))) wanted.push(window)
  for (const window of wanted) {
    const found = await obstacle(tx, claim, window)
    if (found !== undefined) return { kind: 'taken', ...found }
  }
  for (const window of wanted) {
    await sql`insert into window_locks (job_id, dataset_id, scope, days)
      values (${claim.job.id}, ${claim.datasetId}, ${window.scope}, ${range(window)})`.execute(tx)
  }
  await tx.deleteFrom('window_waiters').where('job_id', '=', claim.job.id).execute()
  return { kind: 'held' }
}

/** Makes a job wait for windows behind the job that blocks them. A job that already waits keeps its place. */
export async function waitForWindows(tx: Tx, claim: WindowClaim, { by }: Obstacle): Promise<void> {
  await takeLock(tx, LOCKS.windows(claim.datasetId))
  for (const window of claim.windows) {
    await sql`insert into window_waiters (job_id, dataset_id, scope, days, blocked_by)
      values (${claim.job.id}, ${claim.datasetId}, ${window.scope}, ${range(window)}, ${by})
      on conflict (job_id, scope) do update set blocked_by = excluded.blocked_by`.execute(tx)
  }
}

/**
 * Returns the waiting jobs that are no longer blocked, in the order in which they were accepted. Every other waiter is
 * blocked by a job that still holds, waits for, or may yet find an overlapping window.
 */
export async function unblockedWaiters(db: Database): Promise<string[]> {
  const rows = await sql<{ job_id: string }>`
    select w.job_id from window_waiters w join jobs j on j.id = w.job_id
      left join window_locks l on l.job_id = w.blocked_by
        and l.dataset_id = w.dataset_id and l.scope = w.scope and l.days && w.days
      left join window_waiters b on b.job_id = w.blocked_by
        and b.dataset_id = w.dataset_id and b.scope = w.scope and b.days && w.days
      left join (jobs u join imports i on i.job_id = u.id) on u.id = w.blocked_by
        and u.status = 'PROCESSING' and u.waiting_for is null and i.declared_window is null and i.found_window is null
    group by w.job_id, j.created_at having count(l.job_id) + count(b.job_id) + count(u.id) = 0
    order by j.created_at, w.job_id`.execute(db)
  return rows.rows.map((row) => row.job_id)
}

/** Notifies the dispatchers, if any job waits for this one to find its days, that it has found them. */
export async function wakeThoseBehind(tx: Tx, jobId: string): Promise<void> {
  const found = await sql`select from window_waiters where blocked_by = ${jobId} limit 1`.execute(tx)
  if (found.rows.length > 0) await wakeDispatchers(tx)
}

/** Removes the locks, waiters and lease of a job, and notifies the dispatchers if it held a window. */
export async function releaseWindows(tx: Tx, jobId: string): Promise<void> {
  await tx.deleteFrom('window_waiters').where('job_id', '=', jobId).execute()
  await tx.deleteFrom('window_leases').where('job_id', '=', jobId).execute()
  const released = await tx.deleteFrom('window_locks').where('job_id', '=', jobId).executeTakeFirst()
  if (released.numDeletedRows > 0n) await wakeDispatchers(tx)
}

/** Returns a claim for the windows that a job waits for; undefined when it waits for none. */
export async function waitingClaim(tx: Tx, job: OpenJob): Promise<WindowClaim | undefined> {
  const rows = await sql<{ dataset_id: string; scope: string; from: Day | null; to: Day | null }>`
    select dataset_id, scope, lower(days) as from, upper(days) as to from window_waiters where job_id = ${job.id}
    order by scope`.execute(tx)
  const [first] = rows.rows
  if (!first) return undefined
  return {
    job,
    datasetId: first.dataset_id,
    windows: rows.rows.map(({ scope, from, to }) => ({ scope, from, to })),
  }
}

/** Returns whether a job holds a window of the dataset and scope that overlaps `window`. */
export async function isWindowLocked(
  db: Database | Tx | ReadTx,
  datasetId: string,
  window: Window,
): Promise<boolean> {
  const found = await sql<{ yes: boolean }>`select exists (select from window_locks
    where dataset_id = ${datasetId} and scope = ${window.scope} and days && ${range(window)}) as yes`.execute(
    db,
  )
  return found.rows[0]?.yes === true
}

async function holds(tx: Tx, claim: WindowClaim, window: Window): Promise<boolean> {
  const found = await sql`select 1 from window_locks where job_id = ${claim.job.id}
    and dataset_id = ${claim.datasetId} and scope = ${window.scope} and days @> ${range(window)}`.execute(tx)
  return found.rows.length > 0
}

/**
 * Returns the job that blocks a window, if any. Of several that wait or still read, returns the one that was accepted last:
 * so each waiter waits for the one before it, and the end of a job wakes only the next.
 */
async function obstacle(
  tx: Tx,
  { job, datasetId }: WindowClaim,
  window: Window,
): Promise<Obstacle | undefined> {
  const found = await sql<Obstacle>`
    with me as materialized (
      select j.id, j.created_at, j.started_at, i.declared_window is null and i.mode <> 'append' as finds_its_days
      from jobs j left join imports i on i.job_id = j.id where j.id = ${job.id}
    )
    (select w.job_id as by, 'waited-for' as because from me, window_waiters w join jobs j on j.id = w.job_id
      where w.dataset_id = ${datasetId} and w.scope = ${window.scope} and w.days && ${range(window)}
        and (j.created_at, j.id) < (me.created_at, me.id)
      order by j.created_at desc, j.id desc limit 1)
    union all
    (select job_id, 'held' from window_locks
      where dataset_id = ${datasetId} and scope = ${window.scope} and days && ${range(window)}
        and job_id <> ${job.id} limit 1)
    union all
    (select j.id, 'not-known-yet' from me, jobs j join imports i on i.job_id = j.id
      where me.finds_its_days and j.dataset_id = ${datasetId} and j.status = 'PROCESSING' and j.waiting_for is null
        and i.declared_window is null and i.found_window is null and i.mode <> 'append' and not j.dry_run
        and (j.created_at, j.id) < (me.created_at, me.id)
        and coalesce(j.started_at, j.created_at) <= coalesce(me.started_at, 'infinity')
      order by j.created_at desc, j.id desc limit 1)
    limit 1`.execute(tx)
  return found.rows[0]
}
