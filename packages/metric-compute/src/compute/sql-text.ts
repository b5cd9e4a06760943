import type { DayRange } from '@aduana/contracts/dates'
import type { Grain } from '@aduana/contracts/metrics/definition'
import { dayInZone, instantsAround, instantsOfDays } from '@aduana/datasets/days-of-zone'
import { lit, plainNumber } from '@aduana/datasets/literals'
import { toMultirange } from '../expressions/multirange.ts'

/** Decimals of products and quotients. Halves are rounded away from zero. */
export const DECIMALS = 16

/** Returns a number as a SQL literal of type numeric. */
export function numeric(value: number): string {
  return `(${plainNumber(value)})::numeric`
}

/**
 * Returns SQL for a quotient that is rounded only once. PostgreSQL gives a quotient the decimals of its operands and
 * at least 16 significant digits. The factor raises that to 40 decimals, so an earlier rounding cannot affect the
 * rounding to 16.
 */
export function quotient(dividend: string, divisor: string): string {
  return `round(${dividend} * 1.${'0'.repeat(40)} / ${divisor}, ${DECIMALS})`
}

/** Returns the columns that identify the cells of a grain. */
export function cellColumns(grain: Grain): ('company' | 'warehouse')[] {
  return grain === 'total' ? [] : grain === 'company' ? ['company'] : ['company', 'warehouse']
}

/** Returns days as a SQL literal of type datemultirange. */
export function multirange(days: readonly DayRange[]): string {
  return `${lit(toMultirange(days))}::datemultirange`
}

/**
 * Above this many ranges, the condition is one range with holes: a longer list takes longer to plan than to check.
 */
const MAX_RANGES = 40

/** Returns the SQL condition that a `date` column is on one of the days. Indexes and partition pruning can use it. */
export function dateIn(column: string, days: readonly DayRange[]): string {
  const between = ({ from, to }: DayRange) => [
    `${column} >= date ${lit(from)}`,
    `${column} < date ${lit(to)}`,
  ]
  return rangesCondition(days, { exactly: between, around: between, day: column })
}

/** Returns the SQL condition that a `timestamptz` column is on one of the days of a time zone. */
export function momentIn(column: string, timeZone: string, days: readonly DayRange[]): string {
  return rangesCondition(days, {
    exactly: (range) => instantsOfDays(column, timeZone, range),
    around: (range) => instantsAround(column, timeZone, range),
    day: dayInZone(column, timeZone),
  })
}

interface InRange {
  exactly: (range: DayRange) => string[]
  around: (range: DayRange) => string[]
  day: string
}

function rangesCondition(days: readonly DayRange[], { exactly, around, day }: InRange): string {
  const [first, last] = [days[0], days.at(-1)]
  if (!first || !last) return 'false'
  if (days.length > MAX_RANGES)
    return [...around({ from: first.from, to: last.to }), `${multirange(days)} @> ${day}`].join(' and ')
  return `(${days.map((range) => exactly(range).join(' and ')).join(' or ')})`
}
