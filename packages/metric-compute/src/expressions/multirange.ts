import type { DayRange } from '@aduana/contracts/dates'

/** Ranges of days as the text of a PostgreSQL `datemultirange`; they may overlap and stand in any order. */
export function toMultirange(ranges: readonly DayRange[]): string {
  return `{${ranges.map(({ from, to }) => `[${from},${to})`).join(',')}}`
}

const RANGE = /\[(\d{4,}-\d\d-\d\d),(\d{4,}-\d\d-\d\d)\)/g

/**
 * The ranges of a `datemultirange` as PostgreSQL writes it: apart from each other, in order.
 * @throws Error when it has a range without end, which nothing of ours writes
 */
export function fromMultirange(text: string): DayRange[] {
  const ranges = [...text.matchAll(RANGE)].map(([, from = '', to = '']) => ({ from, to }))
  if (toMultirange(ranges) !== text) throw new Error(`these are not ranges of days: ${text}`)
  return ranges
}
