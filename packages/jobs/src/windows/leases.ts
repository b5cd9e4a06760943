import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { lockOpenJob, OvertakenError } from '../lifecycle/transitions.ts'
import { markBackend } from '../stage-attempts/stale-backends.ts'

/** The time after which a lease that is not renewed expires, by the database's clock. */
const LEASE_SECONDS = 8

export interface Lease {
  jobId: string
  holder: string
  /** Increases each time the lease is taken; the load checks it in its first statement. */
  fence: string
}

/**
 * Takes the lease of a job's windows, which lets one process load into them. Returns undefined while another process holds
 * an unexpired lease, or still works under an expired one. An expired lease is taken over after the connection of its former
 * holder has been terminated: that process may be frozen in a transaction that holds the lock rows.
 * @throws OvertakenError when the job has ended or holds no window
 */
export async function takeLease(db: Database, jobId: string, holder: string): Promise<Lease | undefined> {
  await endFormerLoad(db, jobId, holder)
  return inTransaction(db, async (tx) => {
    if (!(await lockOpenJob(tx, jobId))) throw new OvertakenError(`job ${jobId} is final`)
    const current = await lockCurrentLease(tx, jobId)
    if (current && current.holder !== holder && !current.expired) return undefined
    const free = await tryLockWindows(tx, jobId)
    if (free === undefined) throw new OvertakenError(`job ${jobId} holds no window`)
    if (!free) return undefined
    const fence = await writeLease(tx, jobId, holder)
    await tx.updateTable('window_locks').set({ fence }).where('job_id', '=', jobId).execute()
    return { jobId, holder, fence }
  })
}

function lockCurrentLease(tx: Tx, jobId: string): Promise<{ holder: string; expired: boolean } | undefined> {
  return tx
    .selectFrom('window_leases')
    .select(['holder', sql<boolean>`expires_at < clock_timestamp()`.as('expired')])
    .where('job_id', '=', jobId)
    .forNoKeyUpdate()
    .executeTakeFirst()
}

/**
 * Locks the windows of a job without waiting. Returns whether all of them were free; undefined if the job has none. A load
 * locks these rows first and the job last, so a transaction that holds the job must not wait for them.
 */
async function tryLockWindows(tx: Tx, jobId: string): Promise<boolean | undefined> {
  const { rows } = await sql<{ free: boolean }>`
    select count(f.id) = count(*) as free from window_locks k left join (
      select id from window_locks where job_id = ${jobId} for no key update skip locked) f on f.id = k.id
    where k.job_id = ${jobId} having count(*) > 0`.execute(tx)
  return rows[0]?.free
}

/** Writes a new lease, or takes over the one there is, and returns its fence. */
async function writeLease(tx: Tx, jobId: string, holder: string): Promise<string> {
  const { rows } = await sql<{ fence: string }>`
    insert into window_leases (job_id, fence, holder, expires_at)
    values (${jobId}, nextval('window_fence'), ${holder}, clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}))
    on conflict (job_id) do update set fence = excluded.fence, holder = excluded.holder,
      expires_at = excluded.expires_at, backend_pid = null, backend_start = null
    returning fence`.execute(tx)
  const fence = rows[0]?.fence
  if (fence === undefined) throw new Error(`no lease for job ${jobId}`)
  return fence
}

/** Terminates the connection that loads under a lease of this holder or an expired one, and waits until it is gone. */
async function endFormerLoad(db: Database, jobId: string, holder: string): Promise<void> {
  // The pid may belong to another connection by now, so the start time is compared as well. This happens in the database,
  // because a JavaScript Date has no microseconds. A connection that has ended its load is back in a pool and serves others.
  const ended = await sql`select pg_terminate_backend(a.pid) from window_leases l
    join pg_stat_activity a on a.pid = l.backend_pid and a.backend_start = l.backend_start
    where l.job_id = ${jobId} and (l.holder = ${holder} or l.expires_at < clock_timestamp())
      and a.pid <> pg_backend_pid() and a.xact_start < l.expires_at`.execute(db)
  if (ended.rows.length > 0)
    await db.selectFrom('window_locks').select('id').where('job_id', '=', jobId).forNoKeyUpdate().execute()
}

/** Renews a lease. Returns false when another process has taken it. */
export async function renewLease(db: Database, lease: Lease): Promise<boolean> {
  const renewed = await db
    .updateTable('window_leases')
    .set({ expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})` })
    .where('job_id', '=', lease.jobId)
    .where('fence', '=', lease.fence)
    .executeTakeFirst()
  return renewed.numUpdatedRows > 0n
}

/** Records the connection that works under a lease, so that a successor can terminate it. */
export async function recordBackend(db: Database, lease: Lease, pid: number): Promise<void> {
  await sql`update window_leases l set backend_pid = a.pid, backend_start = a.backend_start
    from pg_stat_activity a where a.pid = ${pid} and l.job_id = ${lease.jobId} and l.fence = ${lease.fence}`.execute(
    db,
  )
}

/** Removes the recorded connection at the end of its transaction, so that no successor terminates its later work. */
export async function forgetBackend(db: Database, lease: Lease): Promise<void> {
  await db
    .updateTable('window_leases')
    .set({ backend_pid: null, backend_start: null })
    .where('job_id', '=', lease.jobId)
    .where('fence', '=', lease.fence)
    .execute()
}

/**
 * Locks the job's lock rows and returns whether the lease is still held. Must be the first statement of a load. After
 * false, this process has been fenced out and must roll back.
 */
export async function holdFence(tx: Tx, lease: Lease): Promise<boolean> {
  await markBackend(tx, lease.jobId)
  const held = await tx
    .selectFrom('window_locks')
    .select('id')
    .where('job_id', '=', lease.jobId)
    .where('fence', '=', lease.fence)
    .forNoKeyUpdate()
    .execute()
  return held.length > 0
}

/** Releases a lease. Does nothing when another process has taken it. */
export async function releaseLease(db: Database, lease: Lease): Promise<void> {
  await db
    .deleteFrom('window_leases')
    .where('job_id', '=', lease.jobId)
    .where('fence', '=', lease.fence)
    .execute()
}
