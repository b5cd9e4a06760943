import { z } from 'zod'

/** A calendar day that exists, `YYYY-MM-DD`. PostgreSQL has no year 0. */
export const Day = z.iso
  .date()
  .refine((day) => day >= '0001', { error: 'must be a day in the year 1 or later' })
export type Day = z.infer<typeof Day>

/** A day that a record may have. */
export const NearDay = Day.refine((day) => day >= '1900-01-01' && day < '2200-01-01', {
  error: 'must be a day from 1900 to 2199',
})

/** A half-open range of days: `from` is inside, `to` is not. */
export const DayRange = z
  .strictObject({ from: Day, to: Day })
  .refine((range) => range.from < range.to, { error: 'from must be before to' })
export type DayRange = z.infer<typeof DayRange>

/** A point in time with its zone, such as `2026-01-31T05:00:00-05:00`, that PostgreSQL can store. */
export const Moment = z.iso
  .datetime({
    offset: true,
    error: ({ input }) =>
      typeof input === 'string'
        ? 'must be a time with its zone, such as 2026-01-31T05:00:00Z or 2026-01-31T05:00:00-05:00'
        : undefined,
  })
  .refine((moment) => moment >= '1900' && moment < '2200', { error: 'must be a time from 1900 to 2199' })
  // No zone on Earth is further from UTC. PostgreSQL accepts up to 16 hours.
  .refine((moment) => !/[+-](1[5-9]|2\d):\d\d$/.test(moment), {
    error: 'must have a zone within 14 hours of UTC',
  })
export type Moment = z.infer<typeof Moment>

/** Returns the day after `day`. */
export function nextDay(day: Day): Day {
  return addDays(day, 1)
}

/** Returns `day` plus `count` days, which may be negative. */
export function addDays(day: Day, count: number): Day {
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() + count)
  return date.toISOString().slice(0, 10)
}

/** Returns the number of days in a half-open range. */
export function daysBetween(from: Day, to: Day): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000)
}
