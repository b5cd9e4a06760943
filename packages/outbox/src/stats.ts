import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

/** Returns how many outbound events wait for delivery, and the age of the oldest in seconds. */
export async function readOutboxStats(db: Database): Promise<{ waiting: number; seconds: number }> {
  const rows = await sql<{ waiting: number; seconds: number }>`select count(*)::integer as waiting,
      coalesce(extract(epoch from clock_timestamp() - min(occurred_at)), 0)::float8 as seconds
    from event_log where outbound and sent_at is null`.execute(db)
  return rows.rows[0] ?? { waiting: 0, seconds: 0 }
}
