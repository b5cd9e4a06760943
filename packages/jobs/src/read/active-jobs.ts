import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

/** An active job and its owner. */
export interface ActiveJob {
  id: string
  userId: string
}

/** Returns the active jobs: those that are open, and those that are so new that their sender cannot know them yet. */
export async function readActiveJobs(db: Database): Promise<ActiveJob[]> {
  const rows = await sql<ActiveJob>`
    select id, user_id as "userId" from jobs where status = 'QUEUED'
    union select id, user_id from jobs where status = 'PROCESSING'
    union select id, user_id from jobs where created_at > now() - interval '15 seconds'`.execute(db)
  return rows.rows
}
