import type { DATE_FORMATS, TIMESTAMP_FORMATS } from '@aduana/contracts/dataset-definition'

export type DateFormat = (typeof DATE_FORMATS)[number]
export type TimestampFormat = (typeof TIMESTAMP_FORMATS)[number]
type WrittenFormat = Exclude<DateFormat | TimestampFormat, 'ISO8601'>

const DATE_SHAPES: Record<string, string> = {
  YYYY: String.raw`\d{4}`,
  YY: String.raw`\d{2}`,
  DD: String.raw`\d{2}`,
  MM: String.raw`\d{2}`,
  D: String.raw`\d{1,2}`,
  M: String.raw`\d{1,2}`,
  '.': String.raw`\.`,
}
const DIRECTIVES: Record<string, string> = { YYYY: '%Y', YY: '%Y', DD: '%d', MM: '%m', D: '%d', M: '%m' }
const TOKENS = /YYYY|YY|DD|MM|D|M|\./g

/** Returns the RE2 pattern that a text of this form matches in full. It does not check whether the day exists. */
export function formatShape(format: DateFormat | TimestampFormat): string {
  if (format === 'ISO8601')
    return String.raw`\d{4}-\d{2}-\d{2}[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6}0*)?)?(?:Z| UTC| ?[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)?`
  const { date, blank, time } = parts(format)
  const hours = time.startsWith('HH') ? String.raw`(?:[01]\d|2[0-3])` : String.raw`(?:[01]?\d|2[0-3])`
  const seconds = time.endsWith(':SS') ? ':[0-5]\\d' : ''
  const shape = date.replace(TOKENS, (token) => DATE_SHAPES[token] ?? token)
  return time === '' ? shape : `${shape}${blank}${hours}:[0-5]\\d${seconds}`
}

/** Returns the strptime form of a format. It expects four-digit years, even if the format has two. */
export function formatDirectives(format: WrittenFormat): string {
  const { date, blank, time } = parts(format)
  const directives = date.replace(TOKENS, (token) => DIRECTIVES[token] ?? token)
  return time === ''
    ? directives
    : `${directives}${blank}${time
        .replace(/H{1,2}/, '%H')
        .replace('MM', '%M')
        .replace('SS', '%S')}`
}

export type DayMonthOrder = 'day_first' | 'month_first'

/** Returns whether day or month is first in a format; undefined if the year is first. */
export function dayMonthOrder(format: DateFormat | TimestampFormat): DayMonthOrder | undefined {
  if (format.startsWith('D')) return 'day_first'
  return format.startsWith('M') ? 'month_first' : undefined
}

/** Returns whether a format has two-digit years. */
export function hasShortYear(format: DateFormat | TimestampFormat): boolean {
  return /(?<!Y)YY(?!Y)/.test(format)
}

/** Returns a format without leading zeros. It is the same for `DD/MM/YYYY` and `D/M/YYYY`. */
export function withoutPadding(format: DateFormat | TimestampFormat): string {
  return format
    .replace('DD', 'D')
    .replace(/^D(.)MM/, 'D$1M')
    .replace(/^MM(.)D/, 'M$1D')
    .replace('HH', 'H')
}

function parts(format: WrittenFormat): { date: string; blank: string; time: string } {
  const [, date = '', blank = '', time = ''] = /^([^ T]+)(?:([ T])(.+))?$/.exec(format) ?? []
  return { date, blank, time }
}
