import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import type { Rejects } from './undoing.ts'

/**
 * Supersedes the open rejects of an import that is undone, and reopens those of earlier imports that its load had
 * superseded.
 */
export async function restoreRejects(tx: Tx, importId: string, undo: string): Promise<Rejects> {
  // `now()` is the start time of the transaction.
  const again = await sql<{ rows: string }>`select count(*) as rows from quarantined_records
    where job_id = ${importId} and state = 'open' and updated_at = now()`.execute(tx)
  const superseded = await sql`update quarantined_records
    set state = 'superseded', superseded_by = ${undo}, updated_at = now()
    where job_id = ${importId} and state = 'open'`.execute(tx)
  const reopened = await sql`update quarantined_records q
    set state = 'open', superseded_by = null, updated_at = now()
    from jobs j where j.id = q.job_id and not j.batch_deleted
      and q.superseded_by = ${importId} and q.state = 'superseded'`.execute(tx)
  return {
    rejectsSupersededAgain: Number(again.rows[0]?.rows ?? 0),
    rejectsSuperseded: Number(superseded.numAffectedRows ?? 0n),
    rejectsReopened: Number(reopened.numAffectedRows ?? 0n),
  }
}
