import {
  type DatasetDefinitionInput,
  type DecimalMark,
  maxLengthOf,
  type ThousandsMark,
} from '@aduana/contracts/dataset-definition'
import { addDays } from '@aduana/contracts/dates'
import type { Random } from '@aduana/testkit/random'

export type ColumnInput = DatasetDefinitionInput['columns'][number]

type DateInput = Extract<ColumnInput, { type: 'date' }>
type NumberInput = Extract<ColumnInput, { type: 'integer' | 'decimal' }>

/** A cell of a file, and the value that must be stored, as SQL. */
export interface GeneratedCell {
  text: string
  /** A PostgreSQL literal, to be cast to the column's type; null: NULL. */
  stored: string | null
  /** For a local time: the zone of `stored`. */
  zone?: string
}

const EMPTY: GeneratedCell = { text: '', stored: null }

/** Declarations of words for no value, none of which occurs as a value of a generated cell. */
const NULL_WORDS: string[][] = [[], ['-'], ['(null)', 'n/a', '#N/A', '\\n']]

/** Returns columns of every type, named by the caller, with bounds at the limits of the types. */
export function generateColumn(random: Random, name: string): ColumnInput {
  const base = {
    name,
    required: random.chance(0.3),
    ...(random.chance(0.15) ? { nullWords: random.pick(NULL_WORDS) } : {}),
  }
  switch (random.below(6)) {
    case 0:
      return generateText(random, base)
    case 1: {
      const bits = random.pick([16, 32, 64] as const)
      const thousandsMarks = generateThousands(random)
      const zeroFraction = random.chance(0.3) ? random.pick(['point', 'comma', 'either'] as const) : undefined
      return {
        ...{ ...base, type: 'integer', bits },
        ...(zeroFraction ? { zeroFraction } : {}),
        ...without(thousandsMarks, zeroFraction),
      }
    }
    case 2: {
      const precision = random.pick([1, 2, 9, 18, 19, 28, 37, 38])
      const scale = random.pick([0, 1, precision - 1, precision, 10].map((n) => Math.min(37, precision, n)))
      const decimalMark = random.pick(['point', 'comma', 'either'] as const)
      return {
        ...{ ...base, type: 'decimal', precision, scale, decimalMark },
        ...without(generateThousands(random), decimalMark),
      }
    }
    case 3:
      return {
        ...base,
        type: 'date',
        ...generateDateReading(random),
        min: random.pick(['0001-01-01', '0001-01-02', '1582-10-15', '1900-01-01', '1999-12-31']),
        max: random.pick(['1999-12-31', '2100-12-31', '9998-12-31', '9999-12-30', '9999-12-31']),
      }
    case 4:
      return {
        ...base,
        type: 'timestamp',
        formats: ['ISO8601', 'YYYY-MM-DD HH:MM:SS'],
        timeZone: random.pick([
          'UTC',
          'America/Bogota',
          'Asia/Tokyo',
          'Pacific/Apia',
          'Europe/Madrid',
          'Asia/Kathmandu',
        ]),
        min: random.pick([
          '0001-01-02',
          '1900-01-01',
          '1970-01-01',
          random.chance(0.02) ? '0001-01-01' : '1800-01-01',
        ]),
        max: random.pick([
          '2100-12-31',
          '9998-12-31',
          '9999-12-30',
          random.chance(0.02) ? '9999-12-31' : '2200-01-01',
        ]),
      }
    default:
      return { ...base, type: 'boolean' }
  }
}

function generateThousands(random: Random): ThousandsMark[] {
  return (['point', 'comma', 'blank', 'apostrophe'] as const).filter(() => random.chance(0.15))
}

/** Returns the marks except for the decimal mark; nothing when none is left. */
function without(marks: readonly ThousandsMark[], decimalMark: DecimalMark | undefined) {
  const thousandsMarks = marks.filter((mark) => mark !== decimalMark)
  return thousandsMarks.length === 0 ? {} : { thousandsMarks }
}

function generateDateReading(random: Random) {
  const formats = random.pick<NonNullable<DateInput['formats']>>([
    ['YYYY-MM-DD'],
    ['YYYY-MM-DD', 'D/M/YYYY'],
    ['YYYY-MM-DD', 'DD-MM-YY'],
    ['YYYY-MM-DD', 'M/D/YYYY', 'DD/MM/YYYY'],
  ])
  return {
    formats,
    ...(formats.includes('DD-MM-YY') ? { twoDigitYearPivot: random.below(101) } : {}),
    ...(random.chance(0.3) ? { midnight: true } : {}),
  }
}

const PATTERNS = ['(?s).*', '[^\\x{10FFFF}]*', '(?is)(.|\\n)*', '(?s:.{0,1000})(?s:.*)', '\\PN*|\\pN*|(?s).*']

function generateText(
  random: Random,
  named: Pick<ColumnInput, 'name' | 'required' | 'nullWords'>,
): ColumnInput {
  const base = { ...named, ...(random.chance(0.3) ? { code: random.chance(0.5) } : {}) }
  const length = random.pick([
    ...[1, 2, 20, 700].map((maxLength) => ({ maxLength })),
    {},
    { maxLength: 1_000_000 },
  ])
  if (random.chance(0.15)) return { ...base, type: 'text', enum: ['a', "it's", 'ñandú', '"', '\\N'] }
  return {
    ...base,
    type: 'text',
    ...length,
    ...(random.chance(0.3) ? { minLength: 1 } : {}),
    ...(random.chance(0.3) ? { pattern: random.pick(PATTERNS) } : {}),
  }
}

/** Returns a valid cell of a column, often at one of its bounds. */
export function generateCell(random: Random, column: ColumnInput): GeneratedCell {
  if (!column.required && random.chance(0.15)) {
    const word = random.pick(['', ...(column.nullWords ?? [])])
    return { ...EMPTY, text: word }
  }
  switch (column.type) {
    case 'text': {
      const text = textCell(random, column)
      return { text, stored: text.normalize('NFC') }
    }
    case 'integer': {
      const most = 2n ** BigInt((column.bits ?? 32) - 1)
      const number = String(random.pick([-most, most - 1n, 0n, 1n, BigInt(random.below(30_000))]))
      return { text: withThousands(random, column, number), stored: number }
    }
    case 'decimal':
      return decimalCell(random, column)
    case 'date':
      return dayCell(random, column)
    case 'timestamp':
      return momentCell(
        random,
        dayWithin(random, column.min ?? '1900-01-01', column.max ?? '2100-12-31'),
        column.timeZone,
      )
    case 'boolean':
      return random.chance(0.5) ? { text: 'SI', stored: 'true' } : { text: '0', stored: 'false' }
  }
}

const TEXTS = [
  'a',
  'B',
  "it's",
  '"',
  '""',
  '\\.',
  'NULL',
  'ñ',
  'n\u0303',
  '😀',
  'x\ny',
  'x\r\ny',
  ',',
  '$1',
  '%s',
  '{}',
  '--',
]

function textCell(random: Random, column: ColumnInput & { type: 'text' }): string {
  if (column.enum) return random.pick(column.enum)
  const maxLength = maxLengthOf(column)
  const fitting = TEXTS.filter((text) => [...text].length <= maxLength)
  if (random.chance(0.8)) return random.pick(fitting)
  return randomText(random, Math.min(maxLength, random.pick([18, 23, 24, 30, 600, 2600, 3500])))
}

/** Returns a text that does not compress. */
export function randomText(random: Random, length: number): string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
  return Array.from({ length }, () => letters[random.below(letters.length)]).join('')
}

function decimalCell(random: Random, column: ColumnInput & { type: 'decimal' }): GeneratedCell {
  const { precision, scale } = column
  const digits = random.pick(['9', '1'])
  const whole = digits.repeat(random.pick([0, 1, precision - scale].filter((n) => n <= precision - scale)))
  const fraction = digits.repeat(random.pick([0, scale]))
  const sign = random.pick(['', '-'])
  const mark = column.decimalMark === 'comma' ? ',' : '.'
  const text = `${sign}${whole || '0'}${fraction ? mark + fraction : ''}`
  return { text, stored: text.replace(',', '.') }
}

/** Returns a number with thousands separators that cannot be mistaken for a decimal mark. */
function withThousands(random: Random, { thousandsMarks = [] }: NumberInput, number: string): string {
  const marks = thousandsMarks.flatMap(
    (mark) => ({ blank: [' ', '\u00a0'], apostrophe: ["'"], point: [], comma: [] })[mark],
  )
  if (marks.length === 0 || random.chance(0.5)) return number
  const mark = random.pick(marks)
  return number.replace(/\B(?=(\d{3})+$)/g, mark)
}

function dayCell(random: Random, column: DateInput): GeneratedCell {
  const day = dayWithin(random, column.min ?? '1900-01-01', column.max ?? '2100-12-31')
  const text = column.midnight && random.chance(0.3) ? `${day} 00:00:00` : day
  return { text, stored: day }
}

/** Returns a day at one of the bounds, or between them. */
function dayWithin(random: Random, min: string, max: string): string {
  const days = [min, max, addDays(max, -1), '2024-02-29', '2026-01-31'].filter(
    (day) => day >= min && day <= max,
  )
  return random.pick(days)
}

function momentCell(random: Random, day: string, zone = 'America/Bogota'): GeneratedCell {
  const time = random.pick(['00:00:00', '12:34:56', '23:59:59'])
  // An instant in UTC may belong to the day before or after in the zone, which must be allowed as well.
  return { text: `${day} ${time}`, stored: `${day} ${time}`, zone }
}
