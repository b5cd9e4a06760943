import type { DATE_FORMATS, TIMESTAMP_FORMATS } from '@aduana/contracts/dataset-definition'

export type DateFormat = (typeof DATE_FORMATS)[number]
export type TimestampFormat = (typeof TIMESTAMP_FORMATS)[number]

const SHAPES: [token: RegExp, shape: string][] = [
  [/YYYY/, String.raw`\d{4}`],
  [/DD/, String.raw`\d{2}`],
  [/HH:MM/, String.raw`(?:[01]\d|2[0-3]):[0-5]\d`],
  [/MM/, String.raw`\d{2}`],
  [/:SS/, String.raw`:[0-5]\d`],
]

/** The RE2 pattern that a text of this form matches in full. It does not say whether the day exists. */
export function formatShape(format: DateFormat | TimestampFormat): string {
  if (format === 'ISO8601')
    return String.raw`\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d{1,6})?)?(?:Z|[+-](?:0\d|1[0-5])(?::?[0-5]\d)?)?`
  return SHAPES.reduce(
    (shape, [token, pattern]) => shape.replace(token, pattern),
    format.replaceAll('.', '\\.'),
  )
}

/** The strptime form of a format. */
export function formatDirectives(format: Exclude<DateFormat | TimestampFormat, 'ISO8601'>): string {
  return format
    .replace('YYYY', '%Y')
    .replace('DD', '%d')
    .replace('HH:MM', '%H:%M')
    .replace('MM', '%m')
    .replace('SS', '%S')
}
