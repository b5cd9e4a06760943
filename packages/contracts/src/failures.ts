import { z } from 'zod'

/**
 * Why a job failed: stable codes, each with a sentence that says what happened.
 * The `detail` of a failure says what was found, what was expected and what to do.
 */
export const FAILURES = {
  unreadable_file: 'The file cannot be read',
  empty_file: 'The file is empty',
  header_not_found: 'No header row with the columns of the dataset was found',
  header_ambiguous: 'Lines near the header may be records or another header',
  missing_columns: 'Required columns are missing from the file',
  duplicate_columns: 'Two columns of the file match the same column of the dataset',
  no_records: 'The file has a header but no records',
  already_imported: 'The same records have already been imported',
  file_too_wide: 'The file has too many columns',
  table_differs: 'The table does not match the definition of the dataset',
  too_many_rejects: 'Too many records were rejected; nothing was loaded',
  file_contradicts_itself: 'Cells of a column contradict each other or the definition of the dataset',
  window_too_wide: 'The file spans more days than one import may replace',
  key_in_other_scope: 'Rows belong to a company or warehouse that you may not change',
  undo_overlap: 'Later imports depend on this one',
  already_undone: 'The import has already been undone',
  constraint_violated: 'A constraint of the table rejected the rows',
  engine_out_of_memory: 'The file needs more memory than one import may use',
  manifest_invalid: 'The manifest of the results is invalid or belongs to another run',
  checksum_mismatch: 'The checksum of a file differs from the announced one',
  record_count_differs: 'The number of records differs from the announced one',
  source_refused: 'The source of the file denied access',
  worker_lost: 'Workers died too many times while they processed the job',
  artifact_missing: 'A file of an earlier stage is missing or damaged',
  internal: 'An internal error occurred',
} as const satisfies Record<string, string>

const FailureCode = z.string()

/** The failure of a job, as it is stored and shown. */
export const JobFailure = z.looseObject({
  code: FailureCode,
  detail: z.string(),
  stage: z.string().nullable().optional(),
})
export type JobFailure = z.infer<typeof JobFailure>
