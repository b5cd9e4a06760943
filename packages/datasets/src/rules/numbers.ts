import type { DecimalColumn, IntegerColumn, ThousandsMark } from '@aduana/contracts/dataset-definition'
import { lit } from '../literals.ts'
import { fullMatch } from './patterns.ts'
import { valueType } from './value-type.ts'

/** RE2 classes of the decimal marks. */
export const MARKS = { point: '[.]', comma: '[,]', either: '[.,]' } as const

/** RE2 classes of the thousands marks. Blanks include no-break spaces. */
export const THOUSANDS: Record<ThousandsMark, string> = {
  point: '[.]',
  comma: '[,]',
  blank: String.raw`[ \x{00A0}\x{2009}\x{202F}]`,
  apostrophe: String.raw`['\x{2019}]`,
}

/** Returns the thousands marks that are possible with this decimal mark. */
export function thousandsBeside(
  marks: readonly ThousandsMark[] | undefined,
  decimalMark: 'point' | 'comma' | 'either' | undefined,
): ThousandsMark[] {
  return (marks ?? []).filter(
    (mark) => mark !== decimalMark && (decimalMark !== 'either' || mark === 'blank' || mark === 'apostrophe'),
  )
}

const SIMPLE_INTEGER = String.raw`[+-]?\d+`

/** Returns the pattern of whole numbers that the column accepts, of any length. */
export function integerShape(column: IntegerColumn): string {
  const fraction = column.zeroFraction ? `(?:${MARKS[column.zeroFraction]}0+)?` : ''
  return `[+-]?${wholeShape(integerThousands(column))}${fraction}`
}

/** Returns SQL of the number; NULL if the text is no number or too large. */
export function integerValue(column: IntegerColumn, text: string): string {
  const cast = (digits: string) => `try_cast(${digits} as ${valueType(column)})`
  const plain = `when ${fullMatch(text, SIMPLE_INTEGER)} then ${cast(text)}`
  const thousands = integerThousands(column)
  if (thousands.length === 0 && !column.zeroFraction) return `case ${plain} end`
  const joined = withoutThousands(text, thousands)
  const digits = column.zeroFraction
    ? `regexp_replace(${joined}, ${lit(`${MARKS[column.zeroFraction]}0+$`)}, '')`
    : joined
  return `case ${plain} when ${fullMatch(text, integerShape(column))} then ${cast(digits)} end`
}

/** Returns the pattern of decimal numbers with the column's marks, of any length. */
export function decimalShape(column: DecimalColumn): string {
  const mark = MARKS[column.decimalMark]
  return String.raw`[+-]?(?:${wholeShape(decimalThousands(column))}(?:${mark}\d+)?|${mark}\d+)`
}

/** Returns a pattern that matches part of a decimal number if it has more digits after the mark than the column keeps. */
export function tooPreciseShape(column: DecimalColumn): string {
  return String.raw`${MARKS[column.decimalMark]}\d{${column.scale}}\d*[1-9]`
}

/** Returns SQL of the number; NULL if the text is no number, or the column cannot store it without loss. */
export function decimalValue(column: DecimalColumn, text: string): string {
  const exact = (its: string) =>
    `when ${fullMatch(its, exactShape(column))} then try_cast(${withPoint(column, its)} as ${valueType(column)})`
  const thousands = decimalThousands(column)
  if (thousands.length === 0) return `case ${exact(text)} end`
  return `case ${exact(text)} when ${fullMatch(text, decimalShape(column))} then case ${exact(withoutThousands(text, thousands))} end end`
}

/** Returns SQL of the approximate value of a text of `decimalShape`, as a double. */
export function roughDecimal(column: DecimalColumn, text: string): string {
  return `try_cast(${withPoint(column, withoutThousands(text, decimalThousands(column)))} as double)`
}

/** Returns the thousands marks that whole numbers of the column may have. */
export function integerThousands({ thousandsMarks, zeroFraction }: IntegerColumn): ThousandsMark[] {
  return thousandsBeside(thousandsMarks, zeroFraction)
}

/** Returns the thousands marks that decimal numbers of the column may have. */
export function decimalThousands({ thousandsMarks, decimalMark }: DecimalColumn): ThousandsMark[] {
  return thousandsBeside(thousandsMarks, decimalMark)
}

/** Returns the pattern of the digits before the decimal mark. A number has one kind of thousands mark. */
function wholeShape(thousands: readonly ThousandsMark[]): string {
  const grouped = thousands.map((mark) => String.raw`[1-9]\d{0,2}(?:${THOUSANDS[mark]}\d{3})+`)
  return grouped.length === 0 ? String.raw`\d+` : String.raw`(?:\d+|${grouped.join('|')})`
}

/** Returns the pattern of decimal numbers without thousands marks that the column stores without loss. */
function exactShape(column: DecimalColumn): string {
  const mark = MARKS[column.decimalMark]
  const wholeDigits = column.precision - column.scale
  const whole = wholeDigits === 0 ? '0+' : String.raw`0*\d{1,${wholeDigits}}`
  const fraction = column.scale === 0 ? '0+' : String.raw`\d{1,${column.scale}}0*`
  return `[+-]?(?:${whole}(?:${mark}${fraction})?|${mark}${fraction})`
}

function withPoint(column: DecimalColumn, text: string): string {
  return column.decimalMark === 'point' ? text : `replace(${text}, ',', '.')`
}

function withoutThousands(text: string, thousands: readonly ThousandsMark[]): string {
  if (thousands.length === 0) return text
  return `regexp_replace(${text}, ${lit(thousands.map((mark) => THOUSANDS[mark]).join('|'))}, '', 'g')`
}
