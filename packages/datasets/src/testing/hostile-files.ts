import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import fc from 'fast-check'
import { checkDefinition } from '../check.ts'
import { type ColumnInput, definitionWith } from './definitions.ts'
import type { TextRecord } from './validate.ts'

const NAMES = [
  'a',
  'timestamp',
  'order',
  'r0',
  't0',
  'v0',
  'good',
  'winner',
  'reasons',
  'p',
  'm1',
  'h0',
  'select',
]

/** Cells that parsers, casts or rules are known to read wrongly. */
const HOSTILE = [
  '',
  ' ',
  '\u00a0',
  '\t',
  '\ufeff',
  '0',
  '-0',
  '+1',
  '1',
  '2',
  '3',
  '12',
  '007',
  '1e3',
  '1E400',
  '0x1F',
  '1_000',
  '1 000',
  '12.0',
  '12.7',
  '1.',
  '.5',
  ',5',
  '1,5',
  '1.234,5',
  '1,234.5',
  '1.2345',
  '1.500000',
  '999.999',
  '-999.995',
  'inf',
  'Infinity',
  '-inf',
  'nan',
  'NaN',
  '9'.repeat(50),
  `-${'9'.repeat(50)}`,
  `0.${'0'.repeat(50)}1`,
  '٣',
  '½',
  '２',
  '32767',
  '32768',
  '2147483648',
  '9223372036854775808',
  '-9223372036854775809',
  '2026-01-31',
  '31/01/2026',
  '31-01-2026',
  '20260131',
  '31.01.2026',
  '1/31/2026',
  '02/31/2026',
  '1/2/2026',
  '2.1.2026',
  '2026-01-31 00:00:00',
  '31/01/2026 0:00',
  '1.234',
  '1,234',
  '1.234.567',
  '-1,234,567.5',
  "1'234",
  '1\u00a0234,5',
  '1\u202f234',
  '120,00',
  '2026-02-30',
  '29/02/2024',
  '29/02/2023',
  '0000-00-00',
  '0001-01-01',
  '9999-12-31',
  'epoch',
  'infinity',
  'today',
  'now',
  '2026-01-31T10:00:00Z',
  '2026-01-31T10:00:00+05:30',
  '2026-01-31T24:00:00',
  '2026-01-31 10:00',
  '2026-01-31T10:00:60Z',
  '2026-01-31T10:00:00+15:59',
  '9999-12-31T23:59:59-12:00',
  '0001-01-01T00:00:00+14:00',
  'true',
  'SÍ',
  'no',
  'f',
  'NULL',
  '\\N',
  '\\.',
  "'",
  "''",
  '"',
  '""',
  '\\',
  '\n',
  'a\nb',
  '\r\n',
  ';',
  ',',
  '=1+1',
  'ñ',
  'ß',
  'İ',
  'ﬀ',
  '😀',
  '\u0301',
  'a'.repeat(300),
  'abc',
  'ABC',
  'M001',
  'm001',
] // prettier-ignore

const textRules = fc.record(
  {
    maxLength: fc.integer({ min: 1, max: 40 }),
    minLength: fc.integer({ min: 0, max: 1 }),
    pattern: fc.constantFrom('[a-zA-Z0-9]*', 'M\\d{3}', '.+', '(a|b)*', '[^\'"]*'),
    enum: fc.uniqueArray(fc.constantFrom(...HOSTILE.filter((cell) => cell !== '' && cell === cell.trim())), {
      minLength: 1,
      maxLength: 20,
    }),
    normalise: fc.subarray(['upper', 'lower', 'collapse-spaces', 'strip-accents', 'digits-only'] as const),
  },
  { requiredKeys: [] },
)
const withType = <T>(type: T) => fc.constant(type)
const rulesOfColumn = fc.oneof(
  textRules.map((rules) => ({ type: 'text' as const, ...rules })),
  fc.record({
    type: withType('integer' as const),
    bits: fc.constantFrom(16 as const, 32 as const, 64 as const),
  }),
  fc.record({
    type: withType('integer' as const),
    min: fc.integer({ min: -5, max: 0 }),
    max: fc.integer({ min: 0, max: 50 }),
  }),
  fc
    .tuple(
      fc.integer({ min: 1, max: 38 }),
      fc.nat(37),
      fc.constantFrom('point' as const, 'comma' as const, 'either' as const),
      fc.subarray(['point', 'comma', 'blank', 'apostrophe'] as const),
    )
    .map(([precision, scale, decimalMark, marks]) => ({
      type: 'decimal' as const,
      precision,
      scale: Math.min(scale, precision),
      decimalMark,
      ...(marks.length > 0 ? { thousandsMarks: [...marks] } : {}),
    })),
  fc.record({
    type: withType('integer' as const),
    zeroFraction: fc.constantFrom('point' as const, 'comma' as const, 'either' as const),
    thousandsMarks: fc
      .subarray(['point', 'comma', 'blank', 'apostrophe'] as const, { minLength: 1 })
      .map((marks) => [...marks]),
  }),
  fc.record({
    type: withType('date' as const),
    formats: fc
      .subarray(
        [
          ...(['YYYY-MM-DD', 'DD/MM/YYYY', 'DD-MM-YYYY', 'YYYYMMDD', 'DD.MM.YYYY'] as const),
          ...(['D/M/YYYY', 'MM/DD/YYYY', 'M-D-YYYY', 'D.M.YYYY'] as const),
        ],
        { minLength: 1 },
      )
      .map((formats) => [...formats]),
    midnight: fc.boolean(),
    min: fc.constantFrom('0001-01-01', '1900-01-01', '2026-01-31'),
    max: fc.constantFrom('2026-01-31', '9999-12-31'),
  }),
  fc.record({
    type: withType('timestamp' as const),
    formats: fc
      .subarray(['ISO8601', 'YYYY-MM-DD HH:MM', 'D/M/YYYY H:MM', 'M/D/YYYY H:MM:SS'] as const, {
        minLength: 1,
      })
      .map((formats) => [...formats]),
    timeZone: fc.constantFrom('UTC', 'America/Bogota', 'Asia/Kathmandu'),
  }),
  fc.record({ type: withType('boolean' as const) }),
)

const definitions: fc.Arbitrary<DatasetDefinition> = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 6 }),
    fc.array(fc.record({ rules: rulesOfColumn, required: fc.boolean() }), { minLength: 8, maxLength: 8 }),
    fc.boolean(),
    fc.constantFrom('first' as const, 'last' as const, 'none' as const),
    fc.constantFrom('<' as const, '<=' as const, '!=' as const),
    fc.boolean(),
  )
  .map(([names, parts, unique, keep, op, crossed]) => {
    const columns = names.flatMap((name, index): ColumnInput[] => {
      const part = parts[index]
      return part ? [{ name, required: part.required, ...part.rules }] : []
    })
    const numbers = columns
      .filter(({ type }) => type === 'integer' || type === 'decimal')
      .map(({ name }) => name)
    const first = numbers[0]
    return definitionWith(columns, {
      ...(unique ? { unique: { columns: names.slice(0, 2), keep } } : {}),
      ...(first === undefined || !crossed
        ? {}
        : {
            rules: [
              {
                code: 'sum',
                message: "isn't so",
                assert: { op, left: { sum: numbers }, right: { value: 12 } },
              },
              {
                code: 'last',
                message: '$1',
                assert: { op, left: { column: first }, right: { column: numbers.at(-1) ?? first } },
              },
            ],
          }),
    })
  })
  .filter((definition) => checkDefinition(definition).length === 0)

/** Cells that are usually valid in a column of the type, so that enough records pass all rules. */
const PLAUSIBLE: Record<ColumnInput['type'], string[]> = {
  text: ['', 'a', 'b', 'ab', 'M001', 'm001', '12', ' x '],
  integer: ['', '0', '1', '2', ' 3', '+4', '007'],
  decimal: ['', '0', '1', '2', '3', '.0'],
  date: ['', '2026-01-31', '31/01/2026', '31-01-2026', '20260131', '31.01.2026'],
  timestamp: ['', '2026-01-31T10:00:00Z', '2026-01-31 10:00', '2026-01-31T10:00:00'],
  boolean: ['', 'si', 'NO', '1', '0'],
}

/** A definition, records for it, and whether line breaks in quotes were replaced. */
export const filesOfAnyDefinition = definitions.chain((definition) => {
  const cells = definition.columns.map(({ type }) =>
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...PLAUSIBLE[type]) },
      { weight: 3, arbitrary: fc.constantFrom(...HOSTILE) },
      { weight: 1, arbitrary: fc.string({ unit: 'grapheme' }) },
    ),
  )
  const record = fc
    .tuple(...cells)
    .map(
      (texts): TextRecord =>
        Object.fromEntries(definition.columns.map(({ name }, index) => [name, texts[index] ?? ''])),
    )
  const records = fc.array(record, { minLength: 1, maxLength: 200, size: 'max' })
  return fc.tuple(fc.constant(definition), records)
})
