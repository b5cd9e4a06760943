import type { JobFailure } from '@aduana/contracts/failures'

/**
 * How a run of a stage ended. Exceptions are for the unexpected; everything that is foreseen is one of these.
 * - `done`: the stage did its work, or found that it had been done
 * - `stop`: nothing more is to be done in this flow (fenced out, waiting for a window, cancelled)
 * - `snooze`: try again later, without holding a slot and without spending a try
 * - `retry`: something transient happened; spends a try
 * - `fail`: no further try will help; the job has been marked as failed
 */
export type StageOutcome =
  | { kind: 'done' }
  | { kind: 'stop'; reason: string }
  | { kind: 'snooze'; milliseconds: number; reason: string }
  | { kind: 'retry'; error: Error }
  | { kind: 'fail'; failure: JobFailure }
