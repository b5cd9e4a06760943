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

/** The allowed transitions. A runner may complete what nobody saw it start: messages come in any order. */
export const RUN_TRANSITIONS: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  PENDING: ['REQUESTED', 'EXPIRED', 'CANCELLED'],
  REQUESTED: ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED'],
  RUNNING: ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELLED'],
  SUCCEEDED: [],
  FAILED: ['REQUESTED'],
  TIMED_OUT: ['REQUESTED', 'FAILED', 'CANCELLED'],
  EXPIRED: ['REQUESTED'],
  CANCELLED: [],
}

/** True when a run may go from `from` to `to`. */
export function canRunGo(from: RunStatus, to: RunStatus): boolean {
  return RUN_TRANSITIONS[from].includes(to)
}

/** The states in which a metric has an open run: at most one for each as-of date. */
export const OPEN_RUNS: readonly RunStatus[] = ['PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT']
