import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { markWork } from './evict.ts'
import { lockOpenJob, OvertakenError } from './transitions.ts'

/** How long a lease lives without a heartbeat, by the database's clock. */
const LEASE_SECONDS = 8

export interface Lease {
  jobId: string
  holder: string
  /** Rises with every change of hands; the load checks it as its first statement. */
  fence: string
}

/**
 * Takes the lease of a job's windows: the right of one process to load under them. Undefined while another process holds
 * a lease that is alive, or still works under one. A lease that has run out is taken over, after the connection of the
 * process that held it has been terminated: it may be frozen inside a transaction that holds the lock rows.
 * @throws OvertakenError when the job has ended or holds no window
 */
export async function takeLease(db: Database, jobId: string, holder: string): Promise<Lease | undefined> {
  await endFormerLoad(db, jobId, holder)
  return inTransaction(db, async (tx) => {
    if (!(await lockOpenJob(tx, jobId))) throw new OvertakenError(`job ${jobId} is final`)
    const current = await sql<{ holder: string; expired: boolean }>`
      select holder, expires_at < clock_timestamp() as expired
      from window_leases where job_id = ${jobId} for no key update`.execute(tx)
    const row = current.rows[0]
    if (row && row.holder !== holder && !row.expired) return undefined
    // A load locks these rows first and the job last. A transaction that holds the job must not wait for them.
    const locks = await sql<{ free: boolean }>`
      select count(f.id) = count(*) as free from window_locks k left join (
        select id from window_locks where job_id = ${jobId} for no key update skip locked) f on f.id = k.id
      where k.job_id = ${jobId} having count(*) > 0`.execute(tx)
    const [found] = locks.rows
    if (!found) throw new OvertakenError(`job ${jobId} holds no window`)
    if (!found.free) return undefined
    const taken = await sql<{ fence: string }>`
      insert into window_leases (job_id, fence, holder, expires_at)
      values (${jobId}, nextval('window_fence'), ${holder}, clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}))
      on conflict (job_id) do update set fence = excluded.fence, holder = excluded.holder,
        expires_at = excluded.expires_at, backend_pid = null, backend_start = null
      returning fence`.execute(tx)
    const fence = taken.rows[0]?.fence
    if (fence === undefined) throw new Error(`no lease for job ${jobId}`)
    await sql`update window_locks set fence = ${fence} where job_id = ${jobId}`.execute(tx)
    return { jobId, holder, fence }
  })
}

/** Terminates the connection that loads under a lease which is our own or has run out, and waits until it is gone. */
async function endFormerLoad(db: Database, jobId: string, holder: string): Promise<void> {
  // The same pid may by now belong to another connection; the start time tells. Compared in the database: a Date of
  // JavaScript has no microseconds. A connection that has ended its load is back in a pool and serves others.
  const ended = await sql`select pg_terminate_backend(a.pid) from window_leases l
    join pg_stat_activity a on a.pid = l.backend_pid and a.backend_start = l.backend_start
    where l.job_id = ${jobId} and (l.holder = ${holder} or l.expires_at < clock_timestamp())
      and a.pid <> pg_backend_pid() and a.xact_start < l.expires_at`.execute(db)
  if (ended.rows.length > 0)
    await sql`select from window_locks where job_id = ${jobId} for no key update`.execute(db)
}

/** Prolong a lease. False when it has changed hands. */
export async function renewLease(db: Database, lease: Lease): Promise<boolean> {
  const renewed = await sql`update window_leases
    set expires_at = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS})
    where job_id = ${lease.jobId} and fence = ${lease.fence}`.execute(db)
  return (renewed.numAffectedRows ?? 0n) > 0n
}

/** Record the connection that works under a lease, so that a successor can terminate it. */
export async function recordBackend(db: Database, lease: Lease, pid: number): Promise<void> {
  await sql`update window_leases l set backend_pid = a.pid, backend_start = a.backend_start
    from pg_stat_activity a where a.pid = ${pid} and l.job_id = ${lease.jobId} and l.fence = ${lease.fence}`.execute(
    db,
  )
}

/** Forget the connection when its transaction is over, so that no successor terminates what it does for others next. */
export async function forgetBackend(db: Database, lease: Lease): Promise<void> {
  await sql`update window_leases set backend_pid = null, backend_start = null
    where job_id = ${lease.jobId} and fence = ${lease.fence}`.execute(db)
}

/**
 * The first statement of a load: lock the job's lock rows and check that the lease has not changed hands.
 * False means that this process has been fenced out and must roll back.
 */
export async function holdFence(tx: Tx, lease: Lease): Promise<boolean> {
  await markWork(tx, lease.jobId)
  const held = await sql`select 1 from window_locks where job_id = ${lease.jobId} and fence = ${lease.fence}
    for no key update`.execute(tx)
  return held.rows.length > 0
}

/** Give a lease back. One that has changed hands stays where it is. */
export async function releaseLease(db: Database, lease: Lease): Promise<void> {
  await sql`delete from window_leases where job_id = ${lease.jobId} and fence = ${lease.fence}`.execute(db)
}
