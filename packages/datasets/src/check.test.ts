import { DATE_FORMATS, TIMESTAMP_FORMATS } from '@aduana/contracts/dataset-definition'
import { expect, test } from 'vitest'
import { checkDefinition, patternProbes } from './check.ts'
import { dayMonthOrder, formatShape, withoutPadding } from './rules/formats.ts'
import { parseDefinition, SHIPPED } from './shipped.ts'
import { definitionWith } from './testing/definitions.ts'
import { openTestDuck } from './testing/validate.ts'

test.each(SHIPPED.map((definition) => [definition.code, definition] as const))(
  'the shipped definition %s is consistent, and unchanged by conversion to JSON and back',
  (_, definition) => {
    expect(checkDefinition(definition)).toEqual([])
    expect(parseDefinition(JSON.parse(JSON.stringify(definition)))).toEqual(definition)
  },
)

test('a contradictory definition is refused with every contradiction', () => {
  const definition = definitionWith(
    [
      { name: 'a', type: 'text', minLength: 9, maxLength: 5, enum: [' x'] },
      { name: 'b', type: 'integer', bits: 16, min: 5, max: 40_000, aliases: ['A!'] },
      { name: 'c', type: 'integer', min: 5, max: 4 },
      { name: 'd', type: 'decimal', precision: 5, scale: 2, min: 0.001, max: 1000 },
      { name: 'e', type: 'decimal', precision: 2, scale: 3 },
      { name: 'f', type: 'timestamp', timeZone: 'Mars/Olympus', min: '2026-01-02', max: '2026-01-01' },
      { name: 'g', type: 'boolean', falseWords: ['SI'] },
      { name: 'id', type: 'integer' },
      { name: 'flag', type: 'boolean', managed: true },
    ],
    {
      sortBy: ['flag'],
      replaceScope: 'b',
      rules: [
        { code: 'r', message: 'm', assert: { op: '=', left: { column: 'a' }, right: { column: 'b' } } },
        { code: 's', message: 'm', assert: { op: '=', left: { sum: ['a'] }, right: { value: 1 } } },
        { code: 't', message: 'm', assert: { op: '=', left: { column: 'f' }, right: { value: 'soon' } } },
      ],
    },
  )
  expect(checkDefinition(definition)).toEqual([
    'column "a" has a minLength above its maxLength of 5',
    'column "a" has an enum value that is empty or has outer white space, which no cell can equal',
    'column "b" has a min or max that does not fit into 16 bits',
    'column "c" has a min above its max',
    'column "d" has a min or max that does not fit into decimal(5,2)',
    'column "e" has a scale (digits after the decimal mark) above its precision (all digits)',
    'column "f" has a min after its max',
    'column "f" has a time zone that does not exist',
    'column "g" has a word that is in both trueWords and falseWords',
    'the header "a" names several columns: a, b',
    'column "flag" is managed, so it cannot be used in sortBy',
    'column "b" identifies rows and must be required',
    'column "b" must be a text column without a dimension to be a replace scope',
    'the load fills the column "id" of the table twice',
    'rule "r": a text cannot be compared with a number',
    'rule "s": only numbers can be added, not a text',
    'rule "t": "soon" is not an instant of the form 2026-01-31T08:00:00Z',
  ])
  expect(() => parseDefinition(definition)).toThrow('contradicts itself')
})

test('no text is ambiguous, except for the order of day and month', () => {
  const sample = (format: string) => format.replace(/[YMDHS]/g, '1')
  for (const formats of [DATE_FORMATS, TIMESTAMP_FORMATS.filter((format) => format !== 'ISO8601')])
    for (const format of formats)
      for (const other of formats.filter((its) => new RegExp(`^${formatShape(its)}$`).test(sample(format))))
        if (dayMonthOrder(other) === dayMonthOrder(format))
          expect(withoutPadding(other)).toBe(withoutPadding(format))
        else
          expect([dayMonthOrder(format), dayMonthOrder(other)].sort()).toEqual(['day_first', 'month_first'])
})

test('contradictory marks and formats are refused', () => {
  const definition = definitionWith([
    {
      name: 'a',
      type: 'decimal',
      precision: 9,
      scale: 2,
      decimalMark: 'comma',
      thousandsMarks: ['blank', 'comma'],
    },
    { name: 'b', type: 'integer', zeroFraction: 'point', thousandsMarks: ['point'] },
    { name: 'c', type: 'date', formats: ['DD/MM/YY'] },
    { name: 'd', type: 'timestamp', formats: ['ISO8601'], twoDigitYearPivot: 50 },
    { name: 'e', type: 'date', formats: ['D/M/YYYY', 'M/D/YYYY'], dayMonthOrder: 'declared' },
    {
      name: 'f',
      type: 'decimal',
      precision: 9,
      scale: 2,
      decimalMark: 'either',
      thousandsMarks: ['point', 'comma'],
    },
    {
      name: 'g',
      type: 'date',
      formats: ['D/M/YY', 'D/M/YYYY'],
      twoDigitYearPivot: 50,
      dayMonthOrder: 'declared',
    },
  ])
  expect(checkDefinition(definition)).toEqual([
    'column "a" has the comma both as decimal mark and as thousands separator',
    'column "b" has the point both as decimal mark and as thousands separator',
    'column "c" has a format with two-digit years, but no twoDigitYearPivot, the first year that is read as 19YY',
    'column "d" has a twoDigitYearPivot, but no format with two-digit years',
    'column "e" declares the order of day and month, but has formats of both orders',
  ])
})

test('patterns that RE2 does not support are refused', async () => {
  const duck = await openTestDuck()
  try {
    const definition = definitionWith([
      { name: 'fine', type: 'text', pattern: "it's \\d+" },
      { name: 'lookahead', type: 'text', pattern: '(?=a)b' },
      { name: 'unclosed', type: 'text', pattern: '(' },
    ])
    const refused: string[] = []
    for (const { column, sql } of patternProbes(definition))
      await duck.rows(sql).catch(() => refused.push(column))
    expect(refused).toEqual(['lookahead', 'unclosed'])
  } finally {
    await duck.close()
  }
})
