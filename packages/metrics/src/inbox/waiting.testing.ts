import type { Flow } from '../testing/flow.ts'

/** Cut the connections that wait for a lock; whether there was one. */
export async function endWaiting({ pool }: Flow): Promise<boolean> {
  const ended = await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return ended.rowCount !== 0
}
