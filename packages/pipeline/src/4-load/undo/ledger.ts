import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Tx } from '@aduana/db/database'
import type { LoadedImport } from '@aduana/jobs/undo/plan'
import { sql } from 'kysely'
import { daysOf, type LedgerDay, lockDays } from '../ledger.ts'
import type { Image } from './undoing.ts'

/**
 * Returns the days of an import to their former owners. A day without a former owner stays with the import, which is
 * marked as undone. Returns the days on which rows changed; for an upsert also those to which rows were moved back.
 */
export async function restoreLedger(
  tx: Tx,
  one: LoadedImport,
  definition: DatasetDefinition,
  image: Image,
): Promise<LedgerDay[]> {
  const of = sql`b.job_id = ${one.id} and b.dataset_id = ${one.datasetId}`
  const written = await sql<LedgerDay>`select b.scope, b.day::text as day from window_ledger_before b
    where ${of} order by b.scope, b.day`.execute(tx)
  const moved = image.table && image.file ? await daysOf(tx, definition, image.table) : []
  const days = [...written.rows, ...moved]
  await lockDays(tx, one.datasetId, days)
  await sql`update window_ledger l set job_id = b.former_job_id from window_ledger_before b
    where ${of} and l.dataset_id = b.dataset_id and l.scope = b.scope and l.day = b.day
      and l.job_id = b.job_id and b.former_job_id is not null`.execute(tx)
  // The successor of the import becomes the successor of its predecessor.
  await sql`update window_ledger_before n set former_job_id = b.former_job_id, former_rows = b.former_rows
    from window_ledger_before b
    where ${of} and n.former_job_id = b.job_id and n.dataset_id = b.dataset_id and n.scope = b.scope
      and n.day = b.day`.execute(tx)
  return days
}
