import { z } from 'zod'

/**
 * Every error of the API: its stable code, HTTP status and title, which says what happened.
 * The response is an RFC 9457 problem document whose `type` ends in the code; `detail` says what to do.
 */
export const PROBLEMS = {
  bad_request: { status: 400, title: 'The request is malformed' },
  missing_field: { status: 400, title: 'A required field is missing' },
  not_multipart: { status: 400, title: 'The request is not multipart/form-data' },
  upload_truncated: { status: 400, title: 'The upload ended before it was complete' },
  empty_file: { status: 400, title: 'The file is empty' },
  bad_window: { status: 400, title: 'The declared window is invalid' },
  unauthenticated: { status: 401, title: 'You are not logged in' },
  bad_credentials: { status: 401, title: 'Wrong e-mail or password' },
  token_expired: { status: 401, title: 'Your login has expired' },
  forbidden: { status: 403, title: 'Your role does not allow this' },
  cross_site: { status: 403, title: 'The request comes from another site' },
  not_found: { status: 404, title: 'The resource does not exist, or you have no access to it' },
  unknown_dataset: { status: 404, title: 'The dataset does not exist' },
  unknown_metric: { status: 404, title: 'The metric does not exist' },
  unknown_series: { status: 404, title: 'The series does not exist' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  upload_idle: { status: 408, title: 'The upload was idle for too long' },
  already_imported: { status: 409, title: 'This file has already been imported' },
  window_locked: { status: 409, title: 'Another job has locked the window' },
  illegal_transition: { status: 409, title: 'The status of the job does not allow this' },
  illegal_run_transition: { status: 409, title: 'The status of the run does not allow this' },
  metric_in_use: { status: 409, title: 'Other metrics depend on this one' },
  dataset_in_use: { status: 409, title: 'The change would break series or metrics' },
  dataset_busy: { status: 409, title: 'The dataset has open jobs' },
  event_key_reused: { status: 409, title: 'The event key was used for another event' },
  approval_lapsed: { status: 409, title: 'The preview has changed' },
  already_undone: { status: 409, title: 'The import has already been undone' },
  undo_open: { status: 409, title: 'The import is being undone' },
  undo_expired: { status: 409, title: 'The import can no longer be undone' },
  undo_overlap: { status: 409, title: 'Later imports depend on this one' },
  belongs_to_run: { status: 409, title: 'The import belongs to a metric run' },
  artifact_expired: { status: 410, title: 'The file was removed at the end of its retention' },
  version_changed: { status: 412, title: 'The definition has changed' },
  file_too_large: { status: 413, title: 'The file exceeds the size limit' },
  body_too_large: { status: 413, title: 'The request exceeds the size limit' },
  unsupported_type: { status: 415, title: 'This type of file cannot be imported' },
  bad_content_type: { status: 415, title: 'The content type is not supported' },
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key was used for another request' },
  invalid_dataset: { status: 422, title: 'The definition of the dataset is invalid' },
  invalid_metric: { status: 422, title: 'The definition of the metric is invalid' },
  value_too_large: { status: 422, title: 'A value is too large for a JSON number' },
  impossible_timestamp: { status: 422, title: 'The timestamp is out of range' },
  queue_full: { status: 429, title: 'Too many jobs are waiting' },
  too_many_logins: { status: 429, title: 'Too many failed logins' },
  too_many_sockets: { status: 429, title: 'Too many WebSockets are open' },
  headers_too_large: { status: 431, title: 'The request headers exceed the size limit' },
  internal: { status: 500, title: 'An internal error occurred' },
  quota_exceeded: { status: 507, title: 'The tenant has reached its storage quota' },
  storage_full: { status: 507, title: 'The storage is full' },
  logins_busy: { status: 503, title: 'Too many logins are in progress' },
  unavailable: { status: 503, title: 'A required service is not available' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemCode = keyof typeof PROBLEMS

/** The body of every error response, `application/problem+json` (RFC 9457), with a stable `code`. */
export const Problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  instance: z.string().optional(),
})
export type Problem = z.infer<typeof Problem>

/** An error with a stable code that becomes a problem document; `detail` says what was found, what was expected and what to do. */
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
