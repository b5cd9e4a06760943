import type { DayRange } from '@aduana/contracts/dates'
import type { Grain } from '@aduana/contracts/metrics/definition'
import { dayInZone, instantsAround, instantsOfDays } from '@aduana/datasets/days-of-zone'
import { lit, plainNumber } from '@aduana/datasets/literals'

/** Products and quotients are rounded to so many decimals, halves away from zero. */
export const DECIMALS = 16

/** A number as a SQL literal of type numeric. */
export function numeric(value: number): string {
  return `(${plainNumber(value)})::numeric`
}

/**
 * An exact quotient, rounded once. PostgreSQL gives a quotient the decimals of its operands and at least 16 significant
 * digits; the factor makes them 40 decimals, so that rounding to 16 is not disturbed by an earlier rounding.
 */
export function quotient(dividend: string, divisor: string): string {
  return `round(${dividend} * 1.${'0'.repeat(40)} / ${divisor}, ${DECIMALS})`
}

/** The columns that tell the cells of a grain apart. */
export function cellColumns(grain: Grain): ('company' | 'warehouse')[] {
  return grain === 'total' ? [] : grain === 'company' ? ['company'] : ['company', 'warehouse']
}

/** Days as a SQL literal of type datemultirange. */
export function multirange(days: readonly DayRange[]): string {
  return `${lit(`{${days.map(({ from, to }) => `[${from},${to})`).join(',')}}`)}::datemultirange`
}

/** More ranges than this are one range with holes: a list that long would be slower to plan than to check. */
const MAX_RANGES = 40

/** Condition that a `date` column lies in some days, which an index and partitions can serve. */
export function dateIn(column: string, days: readonly DayRange[]): string {
  const between = ({ from, to }: DayRange) => [
    `${column} >= date ${lit(from)}`,
    `${column} < date ${lit(to)}`,
  ]
  return rangesCondition(days, { exactly: between, around: between, day: column })
}

/** Condition that a `timestamptz` column lies in some days of a time zone. */
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
