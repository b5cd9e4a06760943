import { addDays, type Day, type DayRange } from '@aduana/contracts/dates'

/** Returns the days of ranges as sorted ranges that neither overlap nor touch. */
export function unionOfDays(ranges: readonly DayRange[]): DayRange[] {
  const union: DayRange[] = []
  for (const range of ranges
    .filter(({ from, to }) => from < to)
    .toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = union.at(-1)
    if (!last || range.from > last.to) union.push({ ...range })
    else if (range.to > last.to) last.to = range.to
  }
  return union
}

/** Returns the days that both lists contain. */
export function commonDays(left: readonly DayRange[], right: readonly DayRange[]): DayRange[] {
  return unionOfDays(
    left.flatMap((a) =>
      right.flatMap((b) => {
        const from = later(a.from, b.from)
        const to = later(a.to, b.to) === a.to ? b.to : a.to
        return from < to ? [{ from, to }] : []
      }),
    ),
  )
}

function later(one: Day, other: Day): Day {
  return one > other ? one : other
}

/** Moves the bounds of every range by a number of days, which may be negative. */
export function moveDays(ranges: readonly DayRange[], from: number, to: number): DayRange[] {
  return ranges.map((range) => ({ from: moved(range.from, from), to: moved(range.to, to) }))
}

/** Returns the first day of the year, quarter, month or ISO week of a day. */
export function startOfPeriod(day: Day, period: Period): Day {
  if (period === 'week') {
    const weekday = new Date(`${day}T00:00:00Z`).getUTCDay()
    return moved(day, -((weekday + 6) % 7))
  }
  const month = Number(day.slice(5, 7))
  const first = period === 'year' ? 1 : period === 'quarter' ? month - ((month - 1) % 3) : month
  return `${day.slice(0, 4)}-${String(first).padStart(2, '0')}-01`
}

/** Returns the first day after the year, quarter, month or ISO week of a day. */
export function endOfPeriod(day: Day, period: Period): Day {
  const start = startOfPeriod(day, period)
  if (period === 'week') return moved(start, 7)
  const months = period === 'year' ? 12 : period === 'quarter' ? 3 : 1
  const next = Number(start.slice(0, 4)) * 12 + Number(start.slice(5, 7)) - 1 + months
  return within(
    `${String(Math.floor(next / 12)).padStart(4, '0')}-${String((next % 12) + 1).padStart(2, '0')}-01`,
  )
}

/** A calendar period. A week is an ISO week. */
export type Period = 'year' | 'quarter' | 'month' | 'week'

const FIRST: Day = '0001-01-01'
const LAST: Day = '9999-12-31'

/** Clamps a day to four-digit years. */
function within(day: string): Day {
  return day.length > 10 || day > LAST ? LAST : day < FIRST ? FIRST : day
}

function moved(day: Day, count: number): Day {
  const time = Date.parse(`${day}T00:00:00Z`) + count * 86_400_000
  if (time < Date.parse(`${FIRST}T00:00:00Z`)) return FIRST
  if (time > Date.parse(`${LAST}T00:00:00Z`)) return LAST
  return addDays(day, count)
}
