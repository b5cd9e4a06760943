/** Bounds of a pause, in one unit of time. */
export interface BackoffBounds {
  /** The pause after the first failure. */
  first: number
  longest: number
}

/** Returns the pause after a number of failures in a row, at least 1. It doubles with each failure up to the longest. */
export function backoff(failures: number, { first, longest }: BackoffBounds): number {
  return Math.min(longest, first * 2 ** (failures - 1))
}
