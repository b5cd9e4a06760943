import { counted } from '@aduana/contracts/figures'
import { ProblemError } from '@aduana/contracts/problems'
import { LOCKS, takeLock } from '@aduana/db/advisory-locks'
import type { Database, Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** The queue capacity: maximum numbers of jobs in state QUEUED. */
export interface QueueLimits {
  maxQueued: number
  /** Maximum for one tenant; `maxQueued` by default. */
  maxQueuedPerTenant?: number
}

/**
 * Rejects a new job when the queue capacity is exhausted, in all or for this tenant.
 * @throws ProblemError `queue_full` with `retryAfterSeconds` and the `limit` that was reached
 */
export async function ensureQueueCapacity(
  db: Database | Tx,
  limits: QueueLimits,
  tenant: string,
): Promise<void> {
  const { maxQueued, maxQueuedPerTenant = maxQueued } = limits
  const row = await sql<{ queued: string; own: string }>`
    select count(*) as queued, count(*) filter (where tenant = ${tenant}) as own from
      (select tenant from jobs where status = 'QUEUED' limit ${maxQueued}) as waiting`.execute(db)
  const queued = Number(row.rows[0]?.queued ?? 0)
  const own = Number(row.rows[0]?.own ?? 0)
  if (queued >= maxQueued) throw full(`${waiting(queued)} waiting, which is the limit.`, 'installation')
  if (own >= maxQueuedPerTenant)
    throw full(`${waiting(own, ` of "${tenant}"`)} waiting, which is the limit of one tenant.`, 'tenant')
}

/**
 * Locks the queue capacity until the transaction ends, and waits for transactions that hold it. Without the lock, concurrent
 * transactions would count the same jobs and exceed the limit together.
 */
export async function lockQueueCapacity(tx: Tx): Promise<void> {
  await takeLock(tx, LOCKS.queueCapacity)
}

function full(what: string, limit: 'installation' | 'tenant'): ProblemError {
  return new ProblemError('queue_full', `${what} Try again later.`, { retryAfterSeconds: 30, limit })
}

function waiting(jobs: number, whose = ''): string {
  return `${counted(jobs, 'job')}${whose} ${jobs === 1 ? 'is' : 'are'}`
}
