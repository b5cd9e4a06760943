import { cleanCode } from '@aduana/contracts/characters'
import type { Column, DateColumn, TimestampColumn } from '@aduana/contracts/dataset-definition'
import { isOneOf, lit } from '../literals.ts'
import { type DateFormat, formatDirectives, formatShape, hasShortYear } from './formats.ts'
import { decimalValue, integerValue } from './numbers.ts'
import { fullMatch } from './patterns.ts'
import { isFault, type Texts } from './text.ts'

/**
 * Returns SQL of the typed value of a normalised text; NULL if it has none. A pattern precedes each cast, because DuckDB
 * casts 12.7 to 13 and reads 1e3 as a whole number. The value of a timestamp is computed from `localTime` and `exactTime`.
 */
export function typedValue(
  column: Exclude<Column, TimestampColumn>,
  { text, careful }: Pick<Texts, 'text' | 'careful'>,
): string {
  switch (column.type) {
    case 'text':
      return careful === undefined ? text : `case when ${isFault(text)} then null else ${text} end`
    case 'integer':
      return integerValue(column, text)
    case 'decimal':
      return decimalValue(column, text)
    case 'date':
      return dateValue(column, text)
    case 'boolean':
      return `case when ${isOneOf(`lower(${text})`, words(column.trueWords))} then true when ${isOneOf(`lower(${text})`, words(column.falseWords))} then false end`
  }
}

/** A time of midnight after a date, as spreadsheets and databases write it. */
const MIDNIGHT_SHAPE = `[T ]0{1,2}:00(?::00(?:[.,]0{1,9})?)?`

function dateValue(column: DateColumn, text: string): string {
  const branches = (its: string) =>
    column.formats.map(
      (format) => `when ${fullMatch(its, formatShape(format))} then ${dayOfForm(column, its, format)}`,
    )
  const dates = branches(text).join(' ')
  if (!column.midnight) return `case ${dates} end`
  const withMidnight = `[^T ]+${MIDNIGHT_SHAPE}`
  const day = `regexp_extract(${text}, '^[^T ]+')`
  return `case ${dates} when ${fullMatch(text, withMidnight)} then case ${branches(day).join(' ')} end end`
}

function dayOfForm({ twoDigitYearPivot }: DateColumn, text: string, format: DateFormat): string {
  if (format === 'YYYY-MM-DD') return `try_cast(${text} as date)`
  const whole = hasShortYear(format) ? withCentury(text, twoDigitYearPivot) : text
  return `try_strptime(${whole}, ${lit(formatDirectives(format))})::date`
}

/** Returns SQL of a text that begins with day, month and a two-digit year, with four digits for the year. */
function withCentury(text: string, pivot = 0): string {
  const year = String.raw`try_cast(regexp_extract(${text}, '^\d+\D\d+\D(\d\d)', 1) as integer)`
  const completed = (century: number) => String.raw`regexp_replace(${text}, '^(\d+\D\d+\D)', '\1${century}')`
  return `case when ${year} < ${pivot} then ${completed(20)} else ${completed(19)} end`
}

/**
 * Returns SQL of the local time (a TIMESTAMP) of a text without an offset, or NULL. The time zone of the column determines
 * the instant.
 */
export function localTime(column: TimestampColumn, text: string): string {
  const branches = column.formats.map((format) => {
    if (format !== 'ISO8601') {
      const whole = hasShortYear(format) ? withCentury(text, column.twoDigitYearPivot) : text
      const local = `try_strptime(${whole}, ${lit(formatDirectives(format))})`
      return `when ${fullMatch(text, formatShape(format))} then ${local}`
    }
    const local = `try_cast(replace(${text}, ',', '.') as timestamp)`
    return `when ${fullMatch(text, formatShape(format))} then case when not ${fullMatch(text, WITH_OFFSET)} then ${local} end`
  })
  return `case ${branches.join(' ')} end`
}

const WITH_OFFSET = String.raw`.{16,}(?:Z| UTC|[+-]\d{2}(?::?\d{2})?)`

/** Returns SQL of the instant (a TIMESTAMPTZ) of a text with an offset, or NULL; undefined if no format has offsets. */
export function exactTime(column: TimestampColumn, text: string): string | undefined {
  if (!column.formats.includes('ISO8601')) return undefined
  const point = `replace(${text}, ',', '.')`
  const offset = String.raw` ?([+-]\d{2}):?([0-5]\d)?$`
  // DuckDB requires seconds, no blank before the offset, and a colon in it.
  const withSeconds = String.raw`regexp_replace(replace(${point}, ' UTC', 'Z'), '([T ]\d\d:\d\d)(Z| ?[+-]|$)', '\1:00\2')`
  const withColon = String.raw`regexp_replace(${withSeconds}, '${offset}', '\1:\2')`
  const complete = `regexp_replace(${withColon}, ':$', '')`
  const exact = `${fullMatch(text, formatShape('ISO8601'))} and ${fullMatch(text, WITH_OFFSET)}`
  return `case when ${exact} then try_cast(${complete} as timestamptz) end`
}

function words(list: readonly string[]): string[] {
  return list.map((word) => cleanCode(word).toLowerCase())
}
