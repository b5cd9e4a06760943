import { z } from 'zod'

/**
 * Every error that a caller of the API can meet: its stable code, HTTP status and title.
 * The answer is an RFC 9457 problem document whose `type` ends in the code.
 */
export const PROBLEMS = {
  bad_request: { status: 400, title: 'The request is not well formed' },
  missing_field: { status: 400, title: 'A required field is missing' },
  not_multipart: { status: 400, title: 'The request must be multipart/form-data' },
  upload_truncated: { status: 400, title: 'The upload ended before it was complete' },
  empty_file: { status: 400, title: 'The file is empty' },
  bad_window: { status: 400, title: 'The declared window is not usable' },
  unauthenticated: { status: 401, title: 'You are not logged in' },
  bad_credentials: { status: 401, title: 'E-mail or password are wrong' },
  token_expired: { status: 401, title: 'The login has expired' },
  forbidden: { status: 403, title: 'This needs another role' },
  cross_site: { status: 403, title: 'The request comes from another site' },
  not_found: { status: 404, title: 'There is nothing here' },
  unknown_dataset: { status: 404, title: 'There is no such dataset' },
  unknown_metric: { status: 404, title: 'There is no such metric' },
  unknown_series: { status: 404, title: 'There is no such series' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  upload_idle: { status: 408, title: 'The upload was idle for too long' },
  already_imported: { status: 409, title: 'This file has already been imported' },
  window_locked: { status: 409, title: 'The window is held by another job' },
  illegal_transition: { status: 409, title: 'The job is not in a state that allows this' },
  illegal_run_transition: { status: 409, title: 'The run is not in a state that allows this' },
  metric_in_use: { status: 409, title: 'Other metrics need this one' },
  dataset_in_use: { status: 409, title: 'Series or metrics need what the dataset would lose' },
  dataset_busy: { status: 409, title: 'Jobs of the dataset are under way' },
  event_key_reused: { status: 409, title: 'The event key belongs to another event' },
  approval_lapsed: { status: 409, title: 'The preview is not the one that was seen' },
  already_undone: { status: 409, title: 'The import has already been undone' },
  undo_open: { status: 409, title: 'The import is being undone' },
  undo_expired: { status: 409, title: 'The import can no longer be undone' },
  undo_overlap: { status: 409, title: 'Later imports depend on this one' },
  belongs_to_run: { status: 409, title: 'This belongs to a run of a metric' },
  artifact_expired: { status: 410, title: 'The file was removed at the end of its retention' },
  version_changed: { status: 412, title: 'It was changed in the meantime' },
  file_too_large: { status: 413, title: 'The file is larger than the limit' },
  body_too_large: { status: 413, title: 'The request is larger than the limit' },
  unsupported_type: { status: 415, title: 'This kind of file cannot be imported' },
  bad_content_type: { status: 415, title: 'The content type of the request is not supported' },
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key belongs to another request' },
  invalid_dataset: { status: 422, title: 'The definition of the dataset is not usable' },
  invalid_metric: { status: 422, title: 'The definition of the metric is not usable' },
  value_too_large: { status: 422, title: 'A value is too large for a JSON number' },
  impossible_timestamp: { status: 422, title: 'The timestamp is not possible' },
  queue_full: { status: 429, title: 'Too many jobs are waiting' },
  too_many_logins: { status: 429, title: 'Too many failed logins' },
  too_many_sockets: { status: 429, title: 'Too many WebSockets are open' },
  headers_too_large: { status: 431, title: 'The request headers are larger than the limit' },
  internal: { status: 500, title: 'An internal error occurred' },
  quota_exceeded: { status: 507, title: 'The tenant has used up its storage quota' },
  storage_full: { status: 507, title: 'There is no room for the file' },
  logins_busy: { status: 503, title: 'Too many passwords are being checked' },
  unavailable: { status: 503, title: 'A required service is not available' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof PROBLEMS

/** The body of every error answer, `application/problem+json` (RFC 9457), with our stable `code`. */
export const Problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  instance: z.string().optional(),
})
export type Problem = z.infer<typeof Problem>

/** An error with a stable code that becomes a problem document; `detail` says what was found, expected and what to do. */
export class ProblemError extends Error {
  readonly code: ProblemCode
  readonly extra: Record<string, unknown>
  constructor(code: ProblemCode, detail: string, extra: Record<string, unknown> = {}) {
    super(detail)
    this.name = 'ProblemError'
    this.code = code
    this.extra = extra
  }
}
