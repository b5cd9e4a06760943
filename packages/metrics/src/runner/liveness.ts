import { holdersOf } from '@aduana/db/advisory-locks'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** A runner of ours gives a sign of life every three seconds. */
const SILENT_SECONDS = 9

const lockOf = (runner: string) => sql`hashtextextended('aduana metric runner ' || ${runner}::text, 0)`

/** Show, until the transaction ends, that this runner lives: it computes on this connection. */
export async function holdLivenessLock(tx: Tx, runner: string): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${lockOf(runner)})`.execute(tx)
}

/** A runner of ours that is dead. */
export interface DeadRunner {
  runner: string
  /** True when the session of its worker has ended, false when it has only been silent for too long. */
  ended: boolean
}

/**
 * The runners of ours that are dead: the session of their worker has ended, or they have been silent for longer than any of
 * ours is; and no connection of theirs computes. Their runs need not wait until the heartbeat of the metric is overdue.
 */
export async function findDeadRunners(tx: Tx): Promise<DeadRunner[]> {
  const suspects = await sql<DeadRunner>`select runner, ended from (
      select r.runner, max(r.last_heartbeat_at) as heard_at, exists (select from workers w
        where w.ended_at is not null and starts_with(r.runner, w.id || '.')) as ended
      from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      where r.status = 'RUNNING' and r.runner is not null and v.definition ->> 'runner' = 'builtin'
      group by r.runner) as runners
    where ended or heard_at < clock_timestamp() - ${SILENT_SECONDS} * interval '1 second'`.execute(tx)
  const dead: DeadRunner[] = []
  for (const suspect of suspects.rows) if (await isGone(tx, suspect)) dead.push(suspect)
  return dead
}

async function isGone(tx: Tx, { runner, ended }: DeadRunner): Promise<boolean> {
  const found = await sql<{ free: boolean }>`
    select pg_try_advisory_xact_lock(${lockOf(runner)}) as free`.execute(tx)
  if (found.rows[0]?.free === true) return true
  // PostgreSQL notices a dead client only between two statements. The next check finds the lock free.
  if (ended) await sql`select pg_terminate_backend(h.pid) from (${holdersOf(lockOf(runner))}) h`.execute(tx)
  return false
}
