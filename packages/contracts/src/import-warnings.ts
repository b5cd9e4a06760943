import { z } from 'zod'

/**
 * What a user should check although the import continued: stable codes, each with a sentence that says what happened.
 * The message of a warning says what was found, how it was read, and what to do if that is wrong.
 */
const IMPORT_WARNINGS = {
  ambiguous_decimal_mark: 'Nothing in the file shows whether a mark separates decimals or thousands',
  ambiguous_day_month: 'Nothing in the file shows whether the day or the month comes first',
  lines_before_header: 'Skipped lines before the header may be records or another header',
  split_numbers: 'Numbers with a decimal comma may be split into two cells at the comma',
  misspelt_header: 'An unknown header cell resembles the name of a column that the file lacks',
  unnamed_column: 'Columns without a name have values, which were not loaded',
  encoding_unsure: 'The encoding of the file is uncertain',
  repeated_hour: 'Times fall in an hour that occurs twice, because the clocks go back',
  window_end_excluded: 'Records have the day that was declared as the exclusive end of the window',
  undeclared_null_word: 'Words that may mean "no value" were read as text',
  many_rows_removed: 'The import removes many more rows than it inserts',
  conflicting_records: 'Records have the same values in the unique columns, but differ in other columns',
  same_version: 'Records replace stored rows of the same version',
  already_imported: 'The import would be refused, because its file or its rows have already been imported',
  rows_already_present: 'Rows that are already in the table are added again',
} as const satisfies Record<string, string>

export type ImportWarningCode = keyof typeof IMPORT_WARNINGS

/** A warning of an import, as it is stored and shown. */
export const ImportWarning = z.strictObject({
  code: z.string(),
  message: z.string(),
  /** The column that it is about; null when it is about the whole file. */
  column: z.string().nullable(),
  /** How many records, lines or cells it is about. */
  count: z.int().nonnegative(),
})
export type ImportWarning = z.infer<typeof ImportWarning>

/** A warning with a known code. */
export function importWarning(
  code: ImportWarningCode,
  message: string,
  { column = null, count }: { column?: string | null; count: number },
): ImportWarning {
  return { code, message, column, count }
}
