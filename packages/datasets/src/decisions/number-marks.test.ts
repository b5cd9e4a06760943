import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { validate } from '../testing/validate.ts'
import { contradictionFailure, decisionWarnings } from './column-decisions.ts'

type NumberInput = Extract<ColumnInput, { type: 'decimal' | 'integer' }>

const weight: NumberInput = { name: 'n', type: 'decimal', precision: 12, scale: 3, decimalMark: 'either' }

/** What becomes of a column with these cells: values, or codes of reasons; the warnings; why it is refused. */
async function read(column: NumberInput, cells: readonly string[]) {
  const definition = definitionWith([{ name: 'line', type: 'text', required: true }, column])
  const records = cells.map((cell) => ({ line: 'x', [column.name]: cell }))
  const { clean, bad, decisions } = await validate(definition, records)
  return {
    values: cells.map(
      (_, index) =>
        clean.find(({ _rec }) => _rec === String(index + 1))?.[column.name] ??
        bad.find(({ record }) => record === index + 1)?.reasons.map(({ code }) => code)[0] ??
        null,
    ),
    messages: bad.flatMap(({ reasons }) => reasons.map(({ message }) => message)),
    decision: decisions.map(({ reading, by }) => `${reading} ${by}`)[0],
    warnings: decisionWarnings(decisions),
    refused: contradictionFailure(decisions)?.detail,
  }
}

describe('the decimal mark of a file', () => {
  test.each([
    ['comma', ['12,345', '3,5', '7,25'], ['12.345', '3.500', '7.250']],
    ['comma', ['0,125', '1,234'], ['0.125', '1.234']],
    ['comma', ['1234,567', '1,234'], ['1234.567', '1.234']],
    ['point', ['12.345', '3.5', '100'], ['12.345', '3.500', '100.000']],
    ['point', ['.5', '1.000'], ['0.500', '1.000']],
    ['comma', [' 12,345\u00a0', '\t3,5'], ['12.345', '3.500']],
    ['comma', ['-1,234', '+3,5'], ['-1.234', '3.500']],
  ])('is the %s of the unambiguous cells: %j', async (mark, cells, values) => {
    expect(await read(weight, cells)).toEqual({
      ...{ values, messages: [], decision: `${mark} cells` },
      ...{ warnings: [], refused: undefined },
    })
  })

  test('rejects cells that need the other one, and the message names the deciding cell', async () => {
    const { values, messages, warnings, refused } = await read(weight, [
      '1,234',
      '2,345',
      '900.5',
      '7',
      '1,234.5',
    ])
    expect(values).toEqual(['not_a_decimal', 'not_a_decimal', '900.500', '7.000', 'not_a_decimal'])
    expect(messages[0]).toBe(
      '"1,234" is not a decimal number with a point before decimals and no other mark; decimals have a point in this file, as in "900.5" (line 4); if the comma separates thousands, declare thousandsMarks: ["comma"]',
    )
    expect({ warnings, refused }).toEqual({ warnings: [], refused: undefined })
  })

  test.each([[['1,234', '2,500']], [['1.234']], [['900', '1,234', '', '12']], [['-12,345', '1,000']]])(
    'is reported if no cell decides: %j',
    async (cells) => {
      const { values, warnings, refused } = await read(weight, cells)
      expect(values).not.toContain('not_a_decimal')
      expect(warnings).toMatchObject([{ code: 'ambiguous_decimal_mark', column: 'n' }])
      expect(warnings[0]?.message).toMatch(
        /was read as a decimal mark\. It could also be a thousands separator; no other cell shows which\. If the reading is wrong, undo the import if it is loaded, or cancel it if it is waiting\./,
      )
      expect(refused).toBeUndefined()
    },
  )

  test.each([
    [
      weight,
      ['3,5', '4.5'],
      /has 1 cell with a comma .*"3,5" \(line 2\), and 1 with a point.*"4.5" \(line 3\)/,
    ],
    [weight, ['1,234', '1.234'], /one of the two marks must separate thousands/],
    [
      { ...weight, decimalMark: 'comma' as const },
      ['1,234', '1,234,567'],
      /is declared with a comma before decimals, but "1,234,567" \(line 3\)/,
    ],
    [{ ...weight, decimalMark: 'point' as const }, ['1.234', '1.234,5'], /is declared with a point/],
  ])('is not guessed if cells contradict each other or the dataset: %j %j', async (column, cells, why) => {
    expect((await read(column, cells)).refused).toMatch(why)
  })

  test('is that of the other cells if at most one cell in twenty is wrong', async () => {
    const cells = [...Array.from({ length: 19 }, () => '1,5'), '2.5', '1,234']
    const { values, refused } = await read(weight, cells)
    expect(refused).toBeUndefined()
    expect(values.slice(-2)).toEqual(['not_a_decimal', '1.234'])
  })

  test('that is declared causes no warning, and cells with another one are rejected', async () => {
    const declared = { ...weight, decimalMark: 'comma' as const }
    expect(await read(declared, ['1,234', '1.234', '2,5'])).toMatchObject({
      ...{ values: ['1.234', 'not_a_decimal', '2.500'], warnings: [], refused: undefined },
    })
    expect(await read({ ...weight, decimalMark: 'point' }, ['3,5', '1,5', '2.5'])).toMatchObject({
      ...{ values: ['not_a_decimal', 'not_a_decimal', '2.500'], warnings: [], refused: undefined },
    })
  })
})

describe('thousands separators', () => {
  test.each([
    [
      ['point'],
      'comma',
      ['1.234,56', '1.234', '12.345.678,9', '7,5'],
      ['1234.560', '1234.000', '12345678.900', '7.500'],
    ],
    [
      ['blank'],
      'comma',
      ['1 234,5', '1\u00a0234', '1\u202f234\u202f567,125'],
      ['1234.500', '1234.000', '1234567.125'],
    ],
    [['apostrophe'], 'point', ["1'234", '1’234.5'], ['1234.000', '1234.500']],
    [['comma', 'point'], 'either', ['1,234.5', '1,234', '2.5'], ['1234.500', '1234.000', '2.500']],
    [['comma', 'point'], 'either', ['1.234,5', '1.234', '2,5'], ['1234.500', '1234.000', '2.500']],
    [
      ['point'],
      'comma',
      ['-1.234,5', '1.23,5', '0.123,5', '1.2345'],
      ['-1234.500', 'not_a_decimal', 'not_a_decimal', 'not_a_decimal'],
    ],
  ] as const)(
    'that are declared are removed: %j, decimals %s, %j',
    async (thousandsMarks, decimalMark, cells, values) => {
      const { values: found, warnings } = await read(
        { ...weight, decimalMark, thousandsMarks: [...thousandsMarks] },
        cells,
      )
      expect(found).toEqual(values)
      expect(warnings).toEqual([])
    },
  )

  test('do not change whether a number is too large or has too many decimals', async () => {
    const column: NumberInput = {
      ...{
        name: 'n',
        type: 'decimal',
        precision: 6,
        scale: 2,
        decimalMark: 'comma',
        thousandsMarks: ['point'],
      },
    }
    const { values } = await read(column, ['9.999,99', '12.345,00', '-12.345', '1.234,567'])
    expect(values).toEqual(['9999.99', 'too_large', 'too_small', 'too_precise'])
  })

  test('are assumed in numbers with more decimals than the column stores', async () => {
    const column: NumberInput = {
      ...{
        name: 'n',
        type: 'decimal',
        precision: 10,
        scale: 1,
        decimalMark: 'either',
        thousandsMarks: ['comma'],
      },
    }
    expect(await read(column, ['1,234', '2,500'])).toMatchObject({
      values: ['1234.0', '2500.0'],
      warnings: [],
    })
  })
})

describe('whole numbers', () => {
  const count: NumberInput = { name: 'n', type: 'integer', zeroFraction: 'either' }

  test.each([
    [
      ['120.0', '3.0', '5'],
      ['120', '3', '5'],
    ],
    [
      ['120,00', '-7,0000'],
      ['120', '-7'],
    ],
    [
      ['1.000', '120.0'],
      ['1', '120'],
    ],
    [
      ['120.5', '3.0'],
      ['not_an_integer', '3'],
    ],
    [
      ['1.234', '5'],
      ['not_an_integer', '5'],
    ],
    [
      ['1.000', '2.000', '7'],
      ['not_an_integer', 'not_an_integer', '7'],
    ],
    [
      ['1.000', '1.234', '7'],
      ['not_an_integer', 'not_an_integer', '7'],
    ],
  ])('can have zeros after the decimal mark if that is allowed: %j', async (cells, values) => {
    const found = await read(count, cells)
    expect(found).toMatchObject({ values, warnings: [], refused: undefined })
  })

  test('have a reason for a rejected mark before three zeros', async () => {
    const { messages } = await read(count, ['1.000'])
    expect(messages).toEqual([
      '"1.000" is not a whole number (allowed: zeros after a comma); no cell of this file shows whether the mark separates decimals or thousands; if the point separates thousands, declare thousandsMarks: ["point"]',
    ])
  })

  test.each([
    [{ thousandsMarks: ['point'] }, ['1.234', '12.345.678', '7'], ['1234', '12345678', '7']],
    [{ thousandsMarks: ['comma', 'blank'] }, ['1,234', '1 234'], ['1234', '1234']],
    [{ thousandsMarks: ['point'], zeroFraction: 'comma' }, ['1.234,00', '-1.000'], ['1234', '-1000']],
    [
      { thousandsMarks: ['point'], zeroFraction: 'comma' },
      ['12.345.678.901', '1.23'],
      ['too_large', 'not_an_integer'],
    ],
  ] satisfies [Partial<NumberInput>, string[], string[]][])(
    'can have thousands separators if those are declared: %j %j',
    async (more, cells, values) => {
      expect((await read({ name: 'n', type: 'integer', ...more } as NumberInput, cells)).values).toEqual(
        values,
      )
    },
  )

  test('of files with another decimal mark than declared are not wrong by a factor of a thousand', async () => {
    const { refused } = await read({ name: 'n', type: 'integer', thousandsMarks: ['point'] }, [
      '1.234',
      '12.5',
    ])
    expect(refused).toMatch(/may be wrong by a factor of 1,000/)
  })
})
