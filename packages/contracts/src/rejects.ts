import { z } from 'zod'
import { page } from './jobs.ts'

/** Codes of structural rejects: the record could not be split into the columns of the file. */
export const STRUCTURAL_CODES = [
  'missing_columns',
  'too_many_columns',
  'broken_line',
  'repeated_header',
  'unterminated_quote',
  'text_after_quote',
  'record_too_long',
  'control_character',
  'invalid_utf8',
] as const

/** Codes of rejects by rule. */
export const RULE_CODES = [
  'required',
  'spreadsheet_error',
  'null_word',
  'scientific_code',
  'not_an_integer',
  'not_a_decimal',
  'not_a_date',
  'not_a_timestamp',
  'not_a_boolean',
  'not_allowed',
  'pattern',
  'too_long',
  'too_short',
  'too_small',
  'too_large',
  'too_precise',
  'unknown_member',
  'outside_window',
  'outside_scope',
  'conflict',
] as const

/** One reason why a record was rejected; `column` is null if it concerns the whole record. */
export const RejectReason = z.strictObject({
  column: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  value: z.string().nullable(),
})
export type RejectReason = z.infer<typeof RejectReason>

const RejectState = z.enum(['open', 'superseded'])
export type RejectState = z.infer<typeof RejectState>

/**
 * The position of a record in its unpacked file, in bytes, without the line end. Null for old rejects, which were stored
 * without it.
 */
const Place = {
  offset: z.int().nonnegative().nullable(),
  length: z.int().nonnegative().nullable(),
}

/** A line of the downloadable files of all rejects and duplicates of an import (NDJSON). */
export const RejectLine = z.strictObject({
  record: z.int().positive(),
  line: z.int().positive(),
  offset: Place.offset.default(null),
  length: Place.length.default(null),
  reasons: z.array(RejectReason).min(1),
  raw: z.string(),
  rawTruncated: z.boolean(),
})
export type RejectLine = z.infer<typeof RejectLine>

/** How the file of an import was read. With the header, its rejects can be written as a file again. */
export const FileLayout = z.strictObject({
  /** The header row of the file, without line end. */
  header: z.string(),
  /** True if the header is longer than 65,536 bytes and was cut. */
  headerTruncated: z.boolean(),
  delimiter: z.string(),
  /** The encoding of the bytes that `offset` and `length` of a reject refer to. */
  encoding: z.string(),
  /** `gzip`: the bytes are those after unpacking. */
  format: z.enum(['plain', 'gzip']),
})
export type FileLayout = z.infer<typeof FileLayout>

/**
 * A reject in the API. `id` is a bigint as text. `raw` is the decoded text: undecodable bytes are U+FFFD, NUL is U+2400.
 * `state` is null for a reject of a dry run, which is not stored.
 */
export const Reject = z.strictObject({
  id: z.string(),
  jobId: z.uuid(),
  dataset: z.string(),
  record: z.int(),
  line: z.int(),
  ...Place,
  reasons: z.array(RejectReason),
  raw: z.string(),
  /** True if the record is longer than 65,536 bytes; `raw` is its beginning. */
  rawTruncated: z.boolean(),
  state: RejectState.nullable(),
})
export type Reject = z.infer<typeof Reject>

/** A page of rejects. `file` is null if the file was not read. */
export const RejectPage = page(Reject).extend({ file: FileLayout.nullable() })
export type RejectPage = z.infer<typeof RejectPage>
