import { UNSUCCESSFUL_JOBS } from '@aduana/contracts/job-states'
import { asFields } from '@aduana/contracts/send-again'
import type { Database } from '@aduana/db/database'

/** An import that prevents the same bytes from being imported again. */
export interface SameBytes {
  id: string
  status: string
}

/**
 * Returns the first import of these bytes into a dataset that is open or loaded; undefined when there is none. Imports that
 * failed, were cancelled, undone or forced do not count, nor do dry runs. The index `jobs_same_bytes_once` has the same
 * conditions.
 */
export function importOfSameBytes(
  db: Database,
  { datasetId, sha256 }: { datasetId: string; sha256: string },
): Promise<SameBytes | undefined> {
  return db
    .selectFrom('jobs')
    .select(['id', 'status'])
    .where('dataset_id', '=', datasetId)
    .where('content_sha256', '=', sha256)
    .where('status', 'not in', UNSUCCESSFUL_JOBS)
    .where('batch_deleted', '=', false)
    .where('forced', '=', false)
    .where('dry_run', '=', false)
    .where('type', '=', 'import')
    .orderBy('created_at')
    .executeTakeFirst()
}

/** Returns the texts that name the earlier import of the same bytes, and how to import them again. */
export function sameBytes(dataset: string, first: SameBytes | undefined): { found: string; remedy: string } {
  const which = first ? `by job ${first.id} (${first.status})` : 'a moment ago'
  return {
    found: `The same bytes were imported into ${dataset} ${which}.`,
    remedy: `To import them again, send ${asFields({ force: 'true' })}.`,
  }
}
