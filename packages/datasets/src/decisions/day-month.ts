import type { ColumnDecision } from '@aduana/contracts/column-decisions'
import type { Column, DateColumn, TimestampColumn } from '@aduana/contracts/dataset-definition'
import { counted, figure } from '@aduana/contracts/figures'
import { TAKE_BACK } from '@aduana/contracts/send-again'
import { z } from 'zod'
import { lit } from '../literals.ts'
import { type DayMonthOrder, dayMonthOrder, hasShortYear, withoutPadding } from '../rules/formats.ts'
import { type Decided, type Example, outweighs, shownCell } from './decided.ts'

/** The open question about the dates of a column. */
export interface DayMonthQuestion {
  column: string
  /** The orders of day and month that the dataset allows. If no cell decides, the first is assumed. */
  orders: readonly DayMonthOrder[]
  /** An assumed order causes no warning. */
  pinned: boolean
  /** The cells have times, so few of them are equal. */
  timed: boolean
  /** RE2 pattern of a text that begins with such a date. Its groups are the first number, the second number and the year. */
  pattern: string
  /** Two-digit years below the pivot belong to 2000–2099, others to 1900–1999. */
  pivot: number
}

/** Returns the open question about the dates of a column; undefined if there is none. */
export function dayMonthQuestion(column: Column): DayMonthQuestion | undefined {
  if (column.type !== 'date' && column.type !== 'timestamp') return undefined
  const formats = column.formats.filter((format) => dayMonthOrder(format) !== undefined)
  const orders = [...new Set(formats.flatMap((format) => dayMonthOrder(format) ?? []))]
  if (orders.length === 0) return undefined
  const marks = [...new Set(formats.map((format) => /[/.-]/.exec(format)?.[0] ?? ''))].join('')
  const number = formats.some((format) => /^[DM]\W/.test(format))
    ? String.raw`(\d{1,2})`
    : String.raw`(\d{2})`
  const years = [
    ...(formats.some((format) => !hasShortYear(format)) ? [String.raw`\d{4}`] : []),
    ...(formats.some(hasShortYear) ? [String.raw`\d{2}`] : []),
  ]
  const mark = marks.endsWith('-') || !marks.includes('-') ? `[${marks}]` : `[${marks.replace('-', '')}-]`
  return {
    column: column.name,
    timed: column.type === 'timestamp',
    orders,
    pinned: column.dayMonthOrder === 'declared' || isSingle(column),
    pattern: `^${number}${mark}${number}${mark}(${years.join('|')})(?:[ T]|$)`,
    pivot: column.twoDigitYearPivot ?? 0,
  }
}

function isSingle({ formats }: DateColumn | TimestampColumn): boolean {
  const kinds = new Set<string>(formats.map((format) => withoutPadding(format).replace(/[ T].*/, '')))
  return kinds.size === 1
}

const Count = z.int().nonnegative()
const Cell = z
  .string()
  .nullable()
  .transform((json): unknown => (json === null ? undefined : JSON.parse(json)))
  .pipe(z.object({ line: z.int(), text: z.string() }).optional())

/** The row that the query of `dayMonthEvidence` returns. `spread` covers all dates with both parts at most 12. */
export const DayMonthEvidence = z.object({
  column: z.string(),
  day_first: Count,
  month_first: Count,
  ambiguous: Count,
  example_day_first: Cell,
  example_month_first: Cell,
  example_ambiguous: Cell,
  /** Number of months, and of days from first to last, in each of the two orders. */
  months_day_first: Count,
  months_month_first: Count,
  span_day_first: Count,
  span_month_first: Count,
  /** Unambiguous dates that have a leading zero, and ambiguous dates that lack one. */
  padded: Count,
  unpadded: Count,
})
export type DayMonthEvidence = z.infer<typeof DayMonthEvidence>

/** Returns a query of one row. `original` and `text` are SQL of the cell: as written, and as the rules see it. */
export function dayMonthEvidence(
  question: DayMonthQuestion,
  parsed: string,
  original: string,
  text: string,
): string {
  const part = (index: number) => `try_cast(regexp_extract(k, ${lit(question.pattern)}, ${index}) as integer)`
  // Many times begin with the year and are left out; grouping equal dates is cheap.
  const begin = `case when r >= '0' and r < ':' then r else ${text} end`
  const source = `select _line, ${original} as r from ${parsed}`
  const texts = question.timed
    ? `select left(${begin}, 10) as k, count(*) as n, min(_line) as line from (${source}) where r not like '____-%' group by k`
    : `select ${begin} as k, n, line from (select r, count(*) as n, min(_line) as line from (${source}) group by r)`
  const numbers = `select k, n, line, ${part(1)} as a, ${part(2)} as b, ${part(3)} as y from (${texts})`
  const year = `case when y >= 100 then y when y < ${question.pivot} then 2000 + y else 1900 + y end`
  const kind = `case when a between 13 and 31 and b between 1 and 12 then 'day_first' when b between 13 and 31 and a between 1 and 12 then 'month_first' when a = b then 'same' when a between 1 and 12 and b between 1 and 12 then 'ambiguous' end`
  const kinds = `select *, ${year} as year, ${kind} as kind from (${numbers}) where y is not null`
  const open = `kind in ('same', 'ambiguous') and a <= 12`
  const day = (month: string, its: string) => `case when ${open} then make_date(year, ${month}, ${its}) end`
  const days = `select *, ${day('b', 'a')} as of_day_first, ${day('a', 'b')} as of_month_first from (${kinds})`
  const cells = (its: string) => `coalesce(sum(n) filter (kind = ${lit(its)}), 0)::bigint`
  const example = (its: string) =>
    `to_json(arg_min({line: line, "text": trim(regexp_extract(k, '^[^ T]+'))}, line) filter (kind = ${lit(its)}))::varchar as example_${its}`
  const months = (order: string) => `count(distinct date_trunc('month', of_${order})) as months_${order}`
  const span = (order: string) => `coalesce(max(of_${order}) - min(of_${order}) + 1, 0) as span_${order}`
  return `select ${lit(question.column)} as "column", ${cells('day_first')} as day_first, ${cells('month_first')} as month_first, ${cells('ambiguous')} as ambiguous,
    ${example('day_first')}, ${example('month_first')}, ${example('ambiguous')},
    ${months('day_first')}, ${months('month_first')}, ${span('day_first')}, ${span('month_first')},
    count(*) filter (kind in ('day_first', 'month_first') and regexp_matches(k, '^0|^\\d+\\D0')) as padded,
    count(*) filter (kind = 'ambiguous' and regexp_matches(k, '^\\d\\D|^\\d+\\D\\d\\D')) as unpadded
    from (${days}) having count(kind) > 0`
}

/** Returns SQL that is true if a cell may have day or month before the year. `cell` is SQL of the cell. */
export function mayBeOpen(cell: string): string {
  return `(${cell} <> '' and ${cell} not like '____-%')`
}

const opposite = (order: DayMonthOrder): DayMonthOrder =>
  order === 'day_first' ? 'month_first' : 'day_first'

/** Decides whether day or month is first in a column. Returns undefined if no cell raises the question. */
export function decideDayMonth(question: DayMonthQuestion, evidence: DayMonthEvidence): Decided | undefined {
  if (evidence.day_first + evidence.month_first + evidence.ambiguous === 0) return undefined
  const [reading, by] = choose(question, evidence)
  const { ambiguous } = evidence
  const decision: ColumnDecision = {
    ...{ column: question.column, about: 'day_month', reading, by, ambiguous },
    ...{ agreeing: evidence[reading], contradicting: evidence[opposite(reading)] },
  }
  const its = {
    agreeing: evidence[`example_${reading}`],
    contradicting: evidence[`example_${opposite(reading)}`],
    ambiguous: evidence.example_ambiguous,
  }
  return {
    ...decision,
    examples: its,
    ...contradiction(question, decision, its),
    ...warning(question, decision, evidence, its.ambiguous),
  }
}

function choose(
  { orders, pinned }: DayMonthQuestion,
  evidence: DayMonthEvidence,
): [DayMonthOrder, ColumnDecision['by']] {
  const [first = 'day_first', second] = orders
  const tells = evidence.day_first + evidence.month_first > 0
  if (second !== undefined) {
    if (tells) return [evidence.day_first >= evidence.month_first ? 'day_first' : 'month_first', 'cells']
    const nearer = orders.find((order) => isNearer(order, evidence))
    return nearer ? [nearer, 'nearness'] : [first, 'assumed']
  }
  if (pinned) return [first, 'declared']
  if (evidence[first] > 0) return [first, 'cells']
  if (tells || evidence[`months_${first}`] <= 1 || isNearer(first, evidence)) return [first, 'declared']
  return [first, 'assumed']
}

/**
 * The days of one file are usually close together. In the wrong order, the days of one month become the same day of many
 * months. An order is preferred if its days span at most half the time, or half the months, of the other.
 */
function isNearer(order: DayMonthOrder, evidence: DayMonthEvidence): boolean {
  const other = opposite(order)
  const months = [evidence[`months_${order}`], evidence[`months_${other}`]] as const
  const span = [evidence[`span_${order}`], evidence[`span_${other}`]] as const
  return months[0] * 2 <= months[1] || span[0] * 2 <= span[1]
}

const NAMES = { day_first: 'day before the month', month_first: 'month before the day' }

function contradiction(
  { orders }: DayMonthQuestion,
  { agreeing, contradicting, ambiguous, reading }: ColumnDecision,
  examples: Decided['examples'],
): { contradiction?: string } {
  if (!outweighs(contradicting, agreeing)) return {}
  const order = reading === 'month_first' ? 'month_first' : 'day_first'
  if (orders.length > 1)
    return {
      contradiction: `has ${counted(agreeing, 'date')} with the ${NAMES[order]}, such as ${shownCell(examples.agreeing)}, and ${figure(contradicting)} with the ${NAMES[opposite(order)]}, such as ${shownCell(examples.contradicting)}`,
    }
  if (ambiguous === 0) return {}
  return {
    contradiction: `is declared with the ${NAMES[order]}, but ${shownCell(examples.contradicting)} has the ${NAMES[opposite(order)]}${agreeing > 0 ? ` (${figure(agreeing)} agree with the dataset, ${figure(contradicting)} do not)` : ''}, so ${counted(ambiguous, 'other date')} such as ${shownCell(examples.ambiguous)} would be read as the wrong day`,
  }
}

function warning(
  question: DayMonthQuestion,
  { by, reading, ambiguous, column }: ColumnDecision,
  evidence: DayMonthEvidence,
  example: Example | undefined,
): { warning?: string } {
  const order = reading === 'month_first' ? 'month_first' : 'day_first'
  const what = `${counted(ambiguous, 'date')} of "${column}" such as ${shownCell(example)} ${ambiguous === 1 ? 'was' : 'were'} read with the ${NAMES[order]}`
  const remedy = `If that is wrong, ${TAKE_BACK}. Then write the dates as YYYY-MM-DD, or declare their order in the dataset, and send the file again.`
  if (ambiguous === 0 || question.pinned) return {}
  if (by === 'assumed')
    return {
      warning: `${what}. No day is above 12, so nothing shows the order. ${monthsOf(evidence, order)} ${remedy}`,
    }
  // A spreadsheet that reads the month as the day rewrites the dates that are valid in that order, and leaves the others.
  if (evidence.padded > 0 && evidence.unpadded > 0)
    return {
      warning: `${what}. They lack the leading zeros of the dates that can be read in one order only, so a program may have exchanged day and month. ${remedy}`,
    }
  return {}
}

/** Returns the sentence on how many months the dates fall in, for each order. */
function monthsOf(evidence: DayMonthEvidence, order: DayMonthOrder): string {
  const [here, there] = [evidence[`months_${order}`], evidence[`months_${opposite(order)}`]]
  if (here === there) return `In either order, the dates are in ${counted(here, 'month')}.`
  return `In this order, the dates are in ${counted(here, 'month')}; in the other order, in ${figure(there)}.`
}
