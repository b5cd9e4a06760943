import { z } from 'zod'
import type { Transitions } from '../transitions.ts'

/**
 * The status of a run. PENDING waits for datasets; REQUESTED has been sent to its runner; TIMED_OUT had no heartbeat in time
 * and is requested again, a bounded number of times.
 */
export const RunStatus = z.enum([
  'PENDING',
  'REQUESTED',
  'RUNNING',
  'SUCCEEDED',
  'FAILED',
  'TIMED_OUT',
  'EXPIRED',
  'CANCELLED',
])
export type RunStatus = z.infer<typeof RunStatus>

/**
 * The allowed transitions. Messages arrive in any order, so a run may complete before it has started, or after it has timed
 * out; it is RUNNING while its result files are imported. A runner that stops returns its run: RUNNING becomes REQUESTED.
 */
export const RUN_TRANSITIONS: Transitions<RunStatus> = {
  PENDING: ['REQUESTED', 'EXPIRED', 'CANCELLED'],
  REQUESTED: ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED'],
  RUNNING: ['REQUESTED', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED'],
  SUCCEEDED: [],
  FAILED: ['REQUESTED'],
  TIMED_OUT: ['REQUESTED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  EXPIRED: ['REQUESTED'],
  CANCELLED: [],
}

/** Returns the statuses from which a run may change to `to`. */
export function runStatesBefore(to: RunStatus): RunStatus[] {
  return RunStatus.options.filter((from) => RUN_TRANSITIONS[from].includes(to))
}

/** The statuses of an open run that has been requested from its runner. */
export const REQUESTED_RUNS: readonly RunStatus[] = ['REQUESTED', 'RUNNING', 'TIMED_OUT']

/** The statuses of an open run. A metric has at most one for each as-of date. */
export const OPEN_RUNS: readonly RunStatus[] = ['PENDING', ...REQUESTED_RUNS]

/** The statuses of an ended run that can be retried. */
export const RETRIABLE_RUNS: readonly RunStatus[] = ['FAILED', 'EXPIRED']

/** The statuses of a run that ended without values. */
export const UNSUCCESSFUL_RUNS: readonly RunStatus[] = [...RETRIABLE_RUNS, 'CANCELLED']

/** The statuses of an ended run. */
export const ENDED_RUNS: readonly RunStatus[] = ['SUCCEEDED', ...UNSUCCESSFUL_RUNS]

/** Why a run exists: a dataset changed, a metric that it depends on was computed, a user requested it, the definition changed. */
export const RunCause = z.enum(['update', 'metric', 'recompute', 'definition'])
export type RunCause = z.infer<typeof RunCause>

/** Number of attempts of a run before it fails for lack of heartbeats. */
export const MAX_ATTEMPTS = 5

/** The outcome of an event from a runner. All outcomes except `applied` changed nothing. */
export type RunEventOutcome = 'applied' | 'duplicate' | 'overtaken' | 'ended'
