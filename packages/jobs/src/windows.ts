import type { Day } from '@aduana/contracts/dates'
import type { Database, ReadTx, Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { wakeDispatchers } from './transitions.ts'

/**
 * What a job may write: the days `[from, to)` of a scope. Without days it is the whole scope, for datasets that have
 * no window column.
 */
export interface Window {
  scope: string
  from: Day | null
  to: Day | null
}

export interface WindowClaim {
  jobId: string
  datasetId: string
  windows: readonly Window[]
}

/**
 * Why a window is not to be had: a job holds it; one that was accepted earlier waits for it; or one that was accepted
 * earlier is in work and does not know its days yet.
 */
export type Obstacle = { by: string; because: 'held' | 'waited-for' | 'not-known-yet' }

export type ClaimResult = { kind: 'held' } | ({ kind: 'taken' } & Obstacle)

const range = (window: Window) => sql<string>`daterange(${window.from}::date, ${window.to}::date)`

/**
 * Take the windows of a job, all or none. Nobody barges in: a window is not given while another job holds an
 * overlapping one, nor while a job that was accepted earlier waits for one. An import that finds its days in its file
 * also waits for those that were accepted earlier and are still reading theirs, so that of two imports of one day in
 * work at the same time the later one has the last word, whatever happens to the workers. Asking again for what one
 * holds is no change. The exclusion constraint of `window_locks` would refuse an overlap even if this were wrong.
 */
export async function claimWindows(tx: Tx, claim: WindowClaim): Promise<ClaimResult> {
  await serialise(tx, claim.datasetId)
  const wanted: Window[] = []
  for (const window of claim.windows) if (!(await holds(tx, claim, window))) wanted.push(window)
  for (const window of wanted) {
    const found = await obstacle(tx, claim, window)
    if (found !== undefined) return { kind: 'taken', ...found }
  }
  for (const window of wanted) {
    await sql`insert into window_locks (job_id, dataset_id, scope, days)
      values (${claim.jobId}, ${claim.datasetId}, ${window.scope}, ${range(window)})`.execute(tx)
  }
  await tx.deleteFrom('window_waiters').where('job_id', '=', claim.jobId).execute()
  return { kind: 'held' }
}

/** Stand in line for windows. Standing in line already keeps the place. */
export async function waitForWindows(tx: Tx, claim: WindowClaim): Promise<void> {
  await serialise(tx, claim.datasetId)
  for (const window of claim.windows) {
    await sql`insert into window_waiters (job_id, dataset_id, scope, days)
      values (${claim.jobId}, ${claim.datasetId}, ${window.scope}, ${range(window)})
      on conflict (job_id, scope) do nothing`.execute(tx)
  }
}

/** Give back everything a job holds or waits for, and wake those who wait. */
export async function releaseWindows(tx: Tx, jobId: string): Promise<void> {
  await tx.deleteFrom('window_waiters').where('job_id', '=', jobId).execute()
  await tx.deleteFrom('window_leases').where('job_id', '=', jobId).execute()
  const released = await tx.deleteFrom('window_locks').where('job_id', '=', jobId).executeTakeFirst()
  if (released.numDeletedRows > 0n) await wakeDispatchers(tx)
}

/** The windows that a job waits for, in one claim; undefined when it waits for none. */
export async function waitingClaim(tx: Tx, jobId: string): Promise<WindowClaim | undefined> {
  const rows = await sql<{ dataset_id: string; scope: string; from: Day | null; to: Day | null }>`
    select dataset_id, scope, lower(days) as from, upper(days) as to from window_waiters where job_id = ${jobId}
    order by scope`.execute(tx)
  const [first] = rows.rows
  if (!first) return undefined
  return {
    jobId,
    datasetId: first.dataset_id,
    windows: rows.rows.map(({ scope, from, to }) => ({ scope, from, to })),
  }
}

/** True when an active job holds a window of the dataset and scope that overlaps `[from, to)`. */
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

/** The changes of one dataset's locks and waiters happen one after the other; no two claims can interleave. */
async function serialise(tx: Tx, datasetId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`window ${datasetId}`}, 0))`.execute(tx)
}

async function holds(tx: Tx, claim: WindowClaim, window: Window): Promise<boolean> {
  const found = await sql`select 1 from window_locks where job_id = ${claim.jobId}
    and dataset_id = ${claim.datasetId} and scope = ${window.scope} and days @> ${range(window)}`.execute(tx)
  return found.rows.length > 0
}

/** What stands between a job and a window. Jobs are in the order in which they were accepted. */
async function obstacle(tx: Tx, claim: WindowClaim, window: Window): Promise<Obstacle | undefined> {
  const found = await sql<Obstacle>`
    with me as (
      select j.id, j.created_at, j.started_at, i.declared_window is null and i.mode <> 'append' as finds_its_days
      from jobs j left join imports i on i.job_id = j.id where j.id = ${claim.jobId}
    )
    select job_id as by, 'held' as because from window_locks
    where dataset_id = ${claim.datasetId} and scope = ${window.scope} and days && ${range(window)}
      and job_id <> ${claim.jobId}
    union all
    select w.job_id, 'waited-for' from me, window_waiters w join jobs j on j.id = w.job_id
    where w.dataset_id = ${claim.datasetId} and w.scope = ${window.scope} and w.days && ${range(window)}
      and (j.created_at, j.id) < (me.created_at, me.id)
    union all
    select j.id, 'not-known-yet' from me, jobs j join imports i on i.job_id = j.id
    where me.finds_its_days and j.dataset_id = ${claim.datasetId} and j.status = 'PROCESSING'
      and i.declared_window is null and i.found_window is null and i.mode <> 'append' and not j.dry_run
      and (j.created_at, j.id) < (me.created_at, me.id)
      and coalesce(j.started_at, j.created_at) <= coalesce(me.started_at, 'infinity')
    limit 1`.execute(tx)
  return found.rows[0]
}
