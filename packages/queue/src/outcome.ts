import type { JobFailure } from '@aduana/contracts/failures'

/**
 * How a stage attempt ended. Unexpected errors are thrown.
 * - `done`: the stage did its work, or had already done it
 * - `stop`: this flow has nothing more to do (fenced out, waiting for a window, cancelled)
 * - `snooze`: try again later, without holding a slot and without spending a try
 * - `retry`: a transient error; spends a try
 * - `fail`: a retry does not help; the job is marked as failed
 */
export type StageOutcome =
  | { kind: 'done' }
  | { kind: 'stop'; reason: string }
  | { kind: 'snooze'; milliseconds: number; reason: string }
  | { kind: 'retry'; error: Error }
  | { kind: 'fail'; failure: JobFailure }
