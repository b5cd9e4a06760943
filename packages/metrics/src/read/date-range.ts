import { addDays, Day, type DayRange, daysBetween, NearDay } from '@aduana/contracts/dates'
import { MAX_DAYS_PER_REQUEST } from '@aduana/contracts/metrics/http'
import { ProblemError } from '@aduana/contracts/problems'

/** Returns the current day in a time zone. @throws ProblemError `bad_request` for an unknown time zone */
export function todayIn(timeZone: string, now = new Date()): Day {
  try {
    const format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' })
    return Day.parse(format.format(now))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw badRequest(
      'time_zone',
      `The time zone "${timeZone}" does not exist. Use a name such as America/Bogota.`,
    )
  }
}

/**
 * Returns the days that a text names, half open: `today`, `yesterday`, `last_N_days` (today and the days before it),
 * `this_week`, `last_week` (Monday to Sunday), `this_month`, `last_month`, `this_year`, `last_year`, or
 * `2026-01-01..2026-02-01`, where the second day is the first after the range.
 * @throws ProblemError `bad_request`
 */
export function resolveDateRange(text: string, today: Day): DayRange {
  const range = named(text, today) ?? lastDays(text, today) ?? fromTo(text)
  if (!range)
    throw badRequest(
      'date_range',
      `"${text}" is not a range of days. Use today, yesterday, last_7_days, this_week, last_week, this_month, last_month, this_year, last_year, or 2026-01-01..2026-02-01 (the second day is the first day after the range).`,
    )
  if (range.from >= range.to) throw badRequest('date_range', `${range.from} must be before ${range.to}.`)
  if (daysBetween(range.from, range.to) > MAX_DAYS_PER_REQUEST)
    throw badRequest(
      'date_range',
      `${text} is more than ${MAX_DAYS_PER_REQUEST} days, the limit of one request.`,
    )
  return range
}

function named(text: string, today: Day): DayRange | undefined {
  const monday = addDays(today, -((new Date(`${today}T00:00:00Z`).getUTCDay() + 6) % 7))
  const [year, month] = [Number(today.slice(0, 4)), Number(today.slice(5, 7))]
  const first = (months: number) => new Date(Date.UTC(year, month - 1 + months, 1)).toISOString().slice(0, 10)
  const newYear = (years: number) => `${year + years}-01-01`
  const ranges: Readonly<Record<string, DayRange>> = {
    today: { from: today, to: addDays(today, 1) },
    yesterday: { from: addDays(today, -1), to: today },
    this_week: { from: monday, to: addDays(monday, 7) },
    last_week: { from: addDays(monday, -7), to: monday },
    this_month: { from: first(0), to: first(1) },
    last_month: { from: first(-1), to: first(0) },
    this_year: { from: newYear(0), to: newYear(1) },
    last_year: { from: newYear(-1), to: newYear(0) },
  }
  return Object.hasOwn(ranges, text) ? ranges[text] : undefined
}

function lastDays(text: string, today: Day): DayRange | undefined {
  const days = Number(/^last_([1-9]\d{0,3})_days$/.exec(text)?.[1])
  return Number.isNaN(days) ? undefined : { from: addDays(today, 1 - days), to: addDays(today, 1) }
}

function fromTo(text: string): DayRange | undefined {
  const [from, to, rest] = text.split('..')
  const [first, after] = [NearDay.safeParse(from), NearDay.safeParse(to)]
  return first.success && after.success && rest === undefined
    ? { from: first.data, to: after.data }
    : undefined
}

function badRequest(field: string, message: string): ProblemError {
  return new ProblemError('bad_request', message, { errors: [{ field, message }] })
}
