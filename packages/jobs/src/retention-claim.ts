import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

/**
 * Run `work` unless another process is running the retention. The claim is held by the connection that `work` gets, and
 * ends with it. Returns whether `work` ran.
 */
export async function whileClaimed(
  db: Database,
  work: (connection: Database) => Promise<void>,
): Promise<boolean> {
  return db.connection().execute(async (connection) => {
    const claim = await sql<{ ours: boolean }>`
      select pg_try_advisory_lock(hashtextextended('retention', 0)) as ours`.execute(connection)
    if (claim.rows[0]?.ours !== true) return false
    try {
      await work(connection)
      return true
    } finally {
      await sql`select pg_advisory_unlock(hashtextextended('retention', 0))`.execute(connection)
    }
  })
}
