import { z } from 'zod'
import { page } from './jobs.ts'

/** Codes of structural rejects: the record could not be taken apart into the columns of the file. */
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
  'cross_rule',
  'unknown_member',
  'outside_window',
  'outside_scope',
  'conflict',
] as const

/** One reason why a record failed; `column` is null when the whole record is meant. */
export const RejectReason = z.strictObject({
  column: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  value: z.string().nullable(),
})
export type RejectReason = z.infer<typeof RejectReason>

const RejectState = z.enum(['open', 'fixed', 'replayed', 'discarded', 'superseded'])
export type RejectState = z.infer<typeof RejectState>

/**
 * Where the bytes of a record are in its file: after unpacking, as they came, without the line end. Null for rejects
 * that were stored before places were kept.
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

/** How the file of an import was read: with its header, its rejects make a file again. */
export const FileLayout = z.strictObject({
  /** The header row as it stands in the file, without line end. */
  header: z.string(),
  /** The header is longer than 65,536 bytes, and cut there. */
  headerTruncated: z.boolean(),
  delimiter: z.string(),
  /** The encoding of the bytes that `offset` and `length` of a reject refer to. */
  encoding: z.string(),
  /** `gzip`: the bytes are those after unpacking. */
  format: z.enum(['plain', 'gzip']),
})
export type FileLayout = z.infer<typeof FileLayout>

/**
 * A reject as the API shows it. `id` is a bigint as text. `raw` is the decoded text: what is not text shows as U+FFFD,
 * NUL as U+2400. `state` is null for a reject of a dry run, which is not there to be corrected.
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
  /** The record is longer than 65,536 bytes, and `raw` is its beginning. */
  rawTruncated: z.boolean(),
  state: RejectState.nullable(),
})
export type Reject = z.infer<typeof Reject>

/** A page of rejects; `file` says how their file was read, null when it was not. */
export const RejectPage = page(Reject).extend({ file: FileLayout.nullable() })
export type RejectPage = z.infer<typeof RejectPage>
