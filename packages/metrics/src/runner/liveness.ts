import { holdersOf, LOCKS, shareLock, tryLock } from '@aduana/db/advisory-locks'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** Seconds after which a built-in runner, which sends a heartbeat every three seconds, may be dead. */
const TIMEOUT_SECONDS = 9

/** Holds the liveness lock of a runner until the transaction ends. The runner computes on this connection. */
export async function holdLivenessLock(tx: Tx, runner: string): Promise<void> {
  await shareLock(tx, LOCKS.metricRunner(runner))
}

/** A built-in runner that is dead. */
export interface DeadRunner {
  runner: string
  /** True when the session of its worker has ended, false when only its heartbeat is overdue. */
  ended: boolean
}

/**
 * Returns the built-in runners that are dead: the session of their worker has ended, or they have sent no heartbeat
 * for nine seconds; and none of their connections computes. Their runs need not wait for the heartbeat timeout of the
 * metric.
 */
export async function findDeadRunners(tx: Tx): Promise<DeadRunner[]> {
  const suspects = await sql<DeadRunner>`select runner, ended from (
      select r.runner, max(r.last_heartbeat_at) as heard_at, exists (select from workers w
        where w.ended_at is not null and starts_with(r.runner, w.id || '.')) as ended
      from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      where r.status = 'RUNNING' and r.runner is not null and v.definition ->> 'runner' = 'builtin'
      group by r.runner) as runners
    where ended or heard_at < clock_timestamp() - ${TIMEOUT_SECONDS} * interval '1 second'`.execute(tx)
  const dead: DeadRunner[] = []
  for (const suspect of suspects.rows) if (await isGone(tx, suspect)) dead.push(suspect)
  return dead
}

async function isGone(tx: Tx, { runner, ended }: DeadRunner): Promise<boolean> {
  const lock = LOCKS.metricRunner(runner)
  if (await tryLock(tx, lock)) return true
  // PostgreSQL notices a dead client only between two statements. The next check finds the lock free.
  if (ended) await sql`select pg_terminate_backend(h.pid) from (${holdersOf(lock)}) h`.execute(tx)
  return false
}
