import { z } from 'zod'

/** Codes of structural rejects: the record could not be taken apart into the columns of the file. */
export const STRUCTURAL_CODES = [
  'missing_columns',
  'too_many_columns',
  'unterminated_quote',
  'text_after_quote',
  'record_too_long',
  'control_character',
  'invalid_utf8',
] as const

/** Codes of rejects by rule. */
export const RULE_CODES = [
  'required',
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
] as const

/** One reason why a record failed; `column` is null when the whole record is meant. */
export const RejectReason = z.strictObject({
  column: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  value: z.string().nullable(),
})
export type RejectReason = z.infer<typeof RejectReason>

export const RejectState = z.enum(['open', 'fixed', 'replayed', 'discarded', 'superseded'])
export type RejectState = z.infer<typeof RejectState>

/** A line of the downloadable file of all rejects of an import (NDJSON). */
export const RejectLine = z.strictObject({
  record: z.int().positive(),
  line: z.int().positive(),
  reasons: z.array(RejectReason).min(1),
  raw: z.string(),
  rawTruncated: z.boolean(),
})
export type RejectLine = z.infer<typeof RejectLine>

/** A reject as the API shows it. `id` is a bigint as text. */
export const Reject = z.strictObject({
  id: z.string(),
  jobId: z.uuid(),
  dataset: z.string(),
  record: z.int(),
  line: z.int(),
  reasons: z.array(RejectReason),
  raw: z.string(),
  state: RejectState,
})
export type Reject = z.infer<typeof Reject>
