import { z } from 'zod'

/**
 * Why a job failed: stable codes with the sentence that tells a person what it means.
 * `detail` of the failure itself says what was found, what was expected and what to do next.
 */
export const FAILURES = {
  unreadable_file: 'The file could not be read',
  empty_file: 'The file is empty',
  header_not_found: 'No header row with the columns of the dataset was found',
  header_ambiguous:
    'Rows before the header, or after it, may be another header or records; only a person can tell',
  missing_columns: 'The file lacks columns that the dataset requires',
  duplicate_columns: 'Two columns of the file mean the same column of the dataset',
  no_records: 'The file has a header but no records',
  already_imported: 'The same records have already been imported',
  file_too_wide: 'The file has too many columns',
  table_differs: 'The definition of the dataset does not fit its table',
  too_many_rejects: 'More records were rejected than the dataset allows; nothing was loaded',
  file_contradicts_itself:
    'The cells of a column show that it is not written as the rest of it, or its dataset, says',
  window_too_wide: 'The days in the file span more than one import may replace',
  key_in_other_scope: 'Rows of the file belong to a company or warehouse that you may not touch',
  undo_overlap: 'Later imports depend on the one to undo',
  already_undone: 'The import has already been undone',
  constraint_violated: 'The target table refused the rows',
  engine_out_of_memory: 'The file needs more memory than one import may use',
  manifest_invalid: 'The manifest of the results is invalid or belongs to another run',
  checksum_mismatch: 'A file is not the one whose checksum was announced',
  record_count_differs: 'The file does not have as many records as were announced',
  source_refused: 'The source of the file refused access',
  worker_lost: 'The work was lost too many times',
  artifact_missing: 'A file that an earlier stage left behind is gone or damaged',
  internal: 'An internal error occurred',
} as const satisfies Record<string, string>

const FailureCode = z.string()

/** A job's failure as it is stored and shown. */
export const JobFailure = z.looseObject({
  code: FailureCode,
  detail: z.string(),
  stage: z.string().nullable().optional(),
})
export type JobFailure = z.infer<typeof JobFailure>
