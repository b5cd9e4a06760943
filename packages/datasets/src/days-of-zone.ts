import { addDays, type Day, type DayRange } from '@aduana/contracts/dates'
import { lit } from './literals.ts'

/** Returns PostgreSQL's SQL of the day (a date) of an instant in a time zone. */
export function dayInZone(instant: string, timeZone: string): string {
  return `(${instant} at time zone ${lit(timeZone)})::date`
}

/** Returns PostgreSQL conditions on a `timestamptz` column for days of a time zone. An index on the column can be used. */
export function instantsOfDays(column: string, timeZone: string, { from, to }: DayRange): string[] {
  const day = dayInZone(column, timeZone)
  const plain = `${isPlain(from, timeZone)} and ${isPlain(to, timeZone)}`
  return [
    ...instantsAround(column, timeZone, { from, to }),
    `(${plain} or ${day} >= date ${lit(from)} and ${day} < date ${lit(to)})`,
  ]
}

/**
 * Returns only the bounds that an index can use. They include all instants of the days, and may include instants of the
 * days next to them.
 */
export function instantsAround(column: string, timeZone: string, { from, to }: DayRange): string[] {
  const bound = (day: Day, beyond: Day) =>
    `case when ${isPlain(day, timeZone)} then ${midnight(day, timeZone)} else ${midnight(beyond, timeZone)} end`
  return [`${column} >= ${bound(from, addDays(from, -1))}`, `${column} < ${bound(to, addDays(to, 1))}`]
}

/**
 * True if the clocks of the zone do not change within a day of this midnight, so that it is a single instant. Otherwise it
 * may exist twice or not at all. PostgreSQL evaluates this when it plans the query.
 */
function isPlain(day: Day, timeZone: string): string {
  const [before, after] = [midnight(addDays(day, -1), timeZone), midnight(addDays(day, 1), timeZone)]
  return `${after} - ${before} = interval '48 hours'`
}

function midnight(day: Day, timeZone: string): string {
  return `(timestamp ${lit(day)} at time zone ${lit(timeZone)})`
}
