import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type Day, daysBetween, nextDay } from '@aduana/contracts/dates'
import type { JobFailure } from '@aduana/contracts/failures'
import { counted, figure } from '@aduana/contracts/figures'
import type { DayCount } from '@aduana/datasets/validation/results'

/** The days of a file that span more days than one import may replace. */
export interface TooWide {
  first: Day
  last: Day
  /** Number of days from the first to the last. */
  span: number
  /** The group of outlying days that is probably wrong: the one with fewer rows or further from today. */
  odd: { line: number; day: Day; rows: number }
  /** The nearest day outside that group. */
  nearest: Day
}

/** Returns the days if they span more than `maxWindowDays`; a typing error in one date must not replace decades. */
export function tooWide(
  { loadMode, maxWindowDays }: Pick<DatasetDefinition, 'loadMode' | 'maxWindowDays'>,
  days: readonly DayCount[],
  today: Day,
): TooWide | undefined {
  if (loadMode !== 'replace-window') return undefined
  const sorted = [...days].sort((a, b) => (a.day < b.day ? -1 : 1))
  const [first, last] = [sorted[0]?.day, sorted.at(-1)?.day]
  if (first === undefined || last === undefined) return undefined
  const span = daysBetween(first, nextDay(last))
  if (span <= maxWindowDays) return undefined
  const gap = (index: number) => daysBetween(sorted[index - 1]?.day ?? '', sorted[index]?.day ?? '')
  const after = sorted
    .map((_, index) => index)
    .slice(1)
    .reduce((widest, index) => (gap(index) > gap(widest) ? index : widest), 1)
  const [before, behind] = [sorted.slice(0, after), sorted.slice(after)]
  const rows = (part: readonly DayCount[]) => part.reduce((sum, entry) => sum + entry.rows, 0)
  const distance = (day: Day) => Math.abs(daysBetween(today, day))
  const fewer = rows(before) - rows(behind) || distance(last) - distance(first)
  const [odd, nearest] = fewer <= 0 ? [before, behind[0]?.day] : [behind, before.at(-1)?.day]
  const { line, day } = odd.reduce((found, entry) => (entry.line < found.line ? entry : found))
  return { first, last, span, odd: { line, day, rows: rows(odd) }, nearest: nearest ?? day }
}

/** Returns the failure. `text` is the cell of the named record as written in the file. */
export function tooWideFailure(
  { first, last, span, odd, nearest }: TooWide,
  { maxWindowDays }: Pick<DatasetDefinition, 'maxWindowDays'>,
  text: string | undefined,
): JobFailure {
  const written = text === undefined || text === odd.day ? '' : ` (written "${text}")`
  const far = Math.abs(daysBetween(odd.day, nearest))
  const others = odd.rows > 1 ? ` It is the first of ${figure(odd.rows)} such records.` : ''
  return {
    code: 'window_too_wide',
    detail: `Line ${odd.line} has the date ${odd.day}${written}, ${counted(far, 'day')} from the nearest other day, ${nearest}.${others} The accepted records span ${counted(span, 'day')}, from ${first} to ${last}. Without a declared window, one import may replace at most ${counted(maxWindowDays, 'day')}. Nothing was changed. Correct the dates, or declare the window of the file with from and to (--from, --to). Records outside the window then become rejects.`,
    line: odd.line,
  }
}
