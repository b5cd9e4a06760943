import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** A runner of ours gives a sign of life every three seconds. */
const SILENT_SECONDS = 9

const lockOf = (runner: string) => sql`hashtextextended('aduana metric runner ' || ${runner}::text, 0)`

/** Show, until the transaction ends, that this runner lives: it computes on this connection. */
export async function holdRunner(tx: Tx, runner: string): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${lockOf(runner)})`.execute(tx)
}

/**
 * The runners of ours that are gone: they have been silent for longer than any of ours is, and have no connection on which
 * they compute. Their runs need not wait until the heartbeat of the metric is overdue.
 */
export async function findDeadRunners(tx: Tx): Promise<string[]> {
  const silent = await sql<{ runner: string }>`select r.runner
    from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
    where r.status = 'RUNNING' and r.runner is not null and v.definition ->> 'runner' = 'builtin'
    group by r.runner
    having max(r.last_heartbeat_at) < clock_timestamp() - ${SILENT_SECONDS} * interval '1 second'`.execute(tx)
  const dead: string[] = []
  for (const { runner } of silent.rows) {
    const free = await sql<{
      free: boolean
    }>`select pg_try_advisory_xact_lock(${lockOf(runner)}) as free`.execute(tx)
    if (free.rows[0]?.free === true) dead.push(runner)
  }
  return dead
}
