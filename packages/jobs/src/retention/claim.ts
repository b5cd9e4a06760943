import { LOCKS } from '@aduana/db/advisory-locks'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

/**
 * Calls `work` unless another process is applying the retention, and returns whether it did. The claim is held by the
 * connection that is passed to `work`, and ends with it.
 */
export async function whileClaimed(
  db: Database,
  work: (connection: Database) => Promise<void>,
): Promise<boolean> {
  return db.connection().execute(async (connection) => {
    const claim = await sql<{ ours: boolean }>`
      select pg_try_advisory_lock(${LOCKS.retention}) as ours`.execute(connection)
    if (claim.rows[0]?.ours !== true) return false
    try {
      await work(connection)
      return true
    } finally {
      await sql`select pg_advisory_unlock(${LOCKS.retention})`.execute(connection)
    }
  })
}
