import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

/** An active job and its owner. */
export interface LiveJob {
  id: string
  userId: string
}

/** Returns the active jobs: those that are open, and those that are so new that their sender cannot know them yet. */
export async function readLiveJobs(db: Database): Promise<LiveJob[]> {
  const rows = await sql<LiveJob>`
    select id, user_id as "userId" from jobs where status = 'QUEUED'
    union select id, user_id from jobs where status = 'PROCESSING'
    union select id, user_id from jobs where created_at > now() - interval '15 seconds'`.execute(db)
  return rows.rows
}
