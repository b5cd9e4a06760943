import type { DayRange } from '@aduana/contracts/dates'

/** Returns ranges of days as the text of a PostgreSQL `datemultirange`. They may overlap and be in any order. */
export function toMultirange(ranges: readonly DayRange[]): string {
  return `{${ranges.map(({ from, to }) => `[${from},${to})`).join(',')}}`
}

const RANGE = /\[(\d{4,}-\d\d-\d\d),(\d{4,}-\d\d-\d\d)\)/g

/**
 * Parses a `datemultirange` as PostgreSQL writes it: disjoint ranges, in order.
 * @throws Error when it contains an unbounded range, which Aduana never writes
 */
export function fromMultirange(text: string): DayRange[] {
  const ranges = [...text.matchAll(RANGE)].map(([, from = '', to = '']) => ({ from, to }))
  if (toMultirange(ranges) !== text) throw new Error(`not a list of day ranges: ${text}`)
  return ranges
}
