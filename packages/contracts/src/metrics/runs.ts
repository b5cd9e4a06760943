import { z } from 'zod'

/**
 * The states of a run. PENDING waits for datasets; REQUESTED has been sent to its runner; TIMED_OUT gave no sign of life
 * and is asked for again, a bounded number of times.
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
 * The allowed transitions. A runner may complete what nobody saw it start, and what was given up a moment before:
 * messages come in any order; while the files with its results are imported, such a run is RUNNING. A runner that stops gives its run back: RUNNING becomes REQUESTED.
 */
export const RUN_TRANSITIONS: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  PENDING: ['REQUESTED', 'EXPIRED', 'CANCELLED'],
  REQUESTED: ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED'],
  RUNNING: ['REQUESTED', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED'],
  SUCCEEDED: [],
  FAILED: ['REQUESTED'],
  TIMED_OUT: ['REQUESTED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  EXPIRED: ['REQUESTED'],
  CANCELLED: [],
}

/** True when a run may go from `from` to `to`. */
export function canTransitionRun(from: RunStatus, to: RunStatus): boolean {
  return RUN_TRANSITIONS[from].includes(to)
}

/** The states in which a metric has an open run: at most one for each as-of date. */
export const OPEN_RUNS: readonly RunStatus[] = ['PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT']

/** The states in which a run has ended. FAILED and EXPIRED runs can be asked for again by hand. */
export const ENDED_RUNS: readonly RunStatus[] = ['SUCCEEDED', 'FAILED', 'EXPIRED', 'CANCELLED']

/** Why there is a run: a dataset changed, a metric beneath was computed, somebody asked, the definition changed. */
export const RunCause = z.enum(['update', 'metric', 'recompute', 'definition'])
export type RunCause = z.infer<typeof RunCause>

/** So often a run that falls silent is asked for again by itself. */
export const MAX_ATTEMPTS = 5

/** Seconds before a run that fell silent in this attempt is asked for again: 10, 20, 40 … at most 600. */
export function retryAfterSeconds(attempt: number): number {
  return Math.min(600, 10 * 2 ** ((attempt - 1) % MAX_ATTEMPTS))
}

/** What became of an event that a runner sent. Whatever is not `applied` changed nothing. */
export type RunEventOutcome = 'applied' | 'duplicate' | 'overtaken' | 'ended'
