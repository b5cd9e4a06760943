import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

/** A job that moves or has just moved, and whose it is. */
export interface LiveJob {
  id: string
  userId: string
}

/** The jobs that are not final, and those so new that nobody can know them yet, for those who follow all jobs. */
export async function readLiveJobs(db: Database): Promise<LiveJob[]> {
  const rows = await sql<LiveJob>`
    select id, user_id as "userId" from jobs where status = 'QUEUED'
    union select id, user_id from jobs where status = 'PROCESSING'
    union select id, user_id from jobs where created_at > now() - interval '15 seconds'`.execute(db)
  return rows.rows
}
