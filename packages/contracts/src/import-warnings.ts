import { z } from 'zod'

/**
 * What a user should check although the import continued: stable codes with their meanings.
 * The message of a warning itself says what was found, how it was understood, and what to do if that is wrong.
 */
const IMPORT_WARNINGS = {
  ambiguous_decimal_mark: 'The file does not say whether a mark stands before decimals or between thousands',
  ambiguous_day_month: 'The file does not say whether the day or the month stands first',
  lines_before_header: 'Lines before the header that may be records or a header were skipped',
  split_numbers: 'Numbers with a decimal comma may stand in two cells, because commas delimit cells too',
  misspelt_header: 'A header cell that names no column is close to the name of a column that the file lacks',
  unnamed_column: 'Columns without a name hold values, which were not loaded',
  encoding_unsure: 'The encoding of the file is uncertain',
  repeated_hour: 'Times are of an hour that exists twice, because clocks go back',
  window_end_excluded:
    'Records are of the day that was declared as the end of the window, which is exclusive',
  undeclared_null_word: 'Words that may stand for no value are taken as texts',
  many_rows_removed: 'The import removes many more rows than it brings',
  conflicting_records: 'Records agree in the columns that must be unique, but differ elsewhere',
  same_version: 'Stored rows are replaced by others of the same version',
  already_imported: 'The import would be refused, because its file or its rows have been imported before',
  rows_already_present: 'Rows are in the table already, and are added once more',
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
