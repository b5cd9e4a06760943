import type { Column, DateColumn, DecimalColumn, TimestampColumn } from '@aduana/contracts/dataset-definition'
import { lit, literals } from '../literals.ts'
import { formatDirectives, formatShape, type TimestampFormat } from './formats.ts'

/** DuckDB's type of the clean value of a column. */
export function valueType(column: Column): string {
  switch (column.type) {
    case 'text':
      return 'VARCHAR'
    case 'integer':
      return { 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }[column.bits]
    case 'decimal':
      return `DECIMAL(${column.precision},${column.scale})`
    case 'date':
      return 'DATE'
    case 'timestamp':
      return 'TIMESTAMPTZ'
    case 'boolean':
      return 'BOOLEAN'
  }
}

/**
 * SQL that turns a normalised text into the typed value, or NULL when it is none. A cast alone is never the rule
 * (DuckDB casts 12.7 to 13 and takes 1e3 for a whole number): a shape stands before each of them.
 */
export function typedValue(column: Column, text: string): string {
  switch (column.type) {
    case 'text':
      return text
    case 'integer':
      return `case when ${fullMatch(text, INTEGER_SHAPE)} then try_cast(${text} as ${valueType(column)}) end`
    case 'decimal':
      return decimalValue(column, text)
    case 'date':
      return dateValue(column, text)
    case 'timestamp':
      return timestampValue(column, text)
    case 'boolean':
      return `case when ${isOneOf(`lower(${text})`, words(column.trueWords))} then true when ${isOneOf(`lower(${text})`, words(column.falseWords))} then false end`
  }
}

/**
 * SQL boolean: whether the text is in the list; NULL for NULL. DuckDB turns `in` with more than a few literals into a join,
 * and joins for hundreds of columns take memory and time that grow with the square of their number.
 */
export function isOneOf(text: string, list: readonly string[]): string {
  return `list_contains([${literals(list)}]::varchar[], ${text})`
}

export const INTEGER_SHAPE = String.raw`[+-]?\d+`

/** A boolean SQL expression: the whole text matches the pattern. */
export function fullMatch(text: string, pattern: string): string {
  return `regexp_full_match(${text}, ${lit(pattern)})`
}

const MARKS = { point: '[.]', comma: '[,]', either: '[.,]' }

/** The shape of any decimal number with the column's mark, however long. */
export function decimalShape(column: DecimalColumn): string {
  const mark = MARKS[column.decimalMark]
  return String.raw`[+-]?(?:\d+(?:${mark}\d+)?|${mark}\d+)`
}

/** A match anywhere says that a decimal number has more digits after the mark than the column keeps. */
export function tooPreciseShape(column: DecimalColumn): string {
  return String.raw`${MARKS[column.decimalMark]}\d{${column.scale}}\d*[1-9]`
}

/** The shape of a decimal number that the column keeps without loss; a case of `decimalShape`. */
function exactShape(column: DecimalColumn): string {
  const mark = MARKS[column.decimalMark]
  const wholeDigits = column.precision - column.scale
  const whole = wholeDigits === 0 ? '0+' : String.raw`0*\d{1,${wholeDigits}}`
  const fraction = column.scale === 0 ? '0+' : String.raw`\d{1,${column.scale}}0*`
  return `[+-]?(?:${whole}(?:${mark}${fraction})?|${mark}${fraction})`
}

function decimalValue(column: DecimalColumn, text: string): string {
  const digits = column.decimalMark === 'point' ? text : `replace(${text}, ',', '.')`
  return `case when ${fullMatch(text, exactShape(column))} then try_cast(${digits} as ${valueType(column)}) end`
}

function dateValue(column: DateColumn, text: string): string {
  const branches = column.formats.map((format) => {
    const value =
      format === 'YYYY-MM-DD'
        ? `try_cast(${text} as date)`
        : `try_strptime(${text}, ${lit(formatDirectives(format))})::date`
    return `when ${fullMatch(text, formatShape(format))} then ${value}`
  })
  return `case ${branches.join(' ')} end`
}

function timestampValue(column: TimestampColumn, text: string): string {
  const branches = column.formats.flatMap((format) => timestampBranches(column, text, format))
  return `case ${branches.join(' ')} end`
}

/** An instant: local times are taken in the column's zone, a time with an offset as it says. */
function timestampBranches(column: TimestampColumn, text: string, format: TimestampFormat): string[] {
  const zone = lit(column.timeZone)
  if (format !== 'ISO8601') {
    const local = `try_strptime(${text}, ${lit(formatDirectives(format))})`
    return [`when ${fullMatch(text, formatShape(format))} then timezone(${zone}, ${local})`]
  }
  const point = `replace(${text}, ',', '.')`
  const offset = String.raw`([+-]\d{2}):?([0-5]\d)$`
  // DuckDB wants seconds and a colon in the offset.
  const withSeconds = String.raw`regexp_replace(${point}, '(T\d\d:\d\d)(Z|[+-]|$)', '\1:00\2')`
  const complete = String.raw`regexp_replace(${withSeconds}, '${offset}', '\1:\2')`
  const withOffset = String.raw`.*T.*(?:Z|[+-]\d{2}(?::?\d{2})?)`
  return [
    `when ${fullMatch(text, formatShape(format))} then case when ${fullMatch(text, withOffset)} then try_cast(${complete} as timestamptz) else timezone(${zone}, try_cast(${point} as timestamp)) end`,
  ]
}

function words(list: readonly string[]): string[] {
  return list.map((word) => word.trim().toLowerCase())
}
