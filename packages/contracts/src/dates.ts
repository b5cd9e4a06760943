import { z } from 'zod'

/** A calendar day, `YYYY-MM-DD`, that exists. */
export const Day = z.iso.date()
export type Day = z.infer<typeof Day>

/** A range of days, half open: `from` is inside, `to` is not. */
export const DayRange = z
  .strictObject({ from: Day, to: Day })
  .refine((range) => range.from < range.to, { error: 'from must be before to' })
export type DayRange = z.infer<typeof DayRange>

/** The day after `day`. */
export function nextDay(day: Day): Day {
  return addDays(day, 1)
}

/** `day` moved by `count` days, which may be negative. */
export function addDays(day: Day, count: number): Day {
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() + count)
  return date.toISOString().slice(0, 10)
}

/** Number of days in a half-open range. */
export function daysBetween(from: Day, to: Day): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / 86_400_000)
}
