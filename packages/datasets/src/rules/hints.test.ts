import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { validate } from '../testing/validate.ts'

/** The message of the only reason of each cell; undefined for a cell that is not rejected. */
async function messages(column: ColumnInput, cells: readonly string[]): Promise<(string | undefined)[]> {
  const definition = definitionWith([{ name: 'line', type: 'integer' }, column])
  const records = cells.map((cell, index) => ({ line: String(index + 1), [column.name]: cell }))
  const { bad } = await validate(definition, records)
  return cells.map((_, index) => bad.find(({ record }) => record === index + 1)?.reasons[0]?.message)
}
const DECIMAL = { name: 'x', type: 'decimal', precision: 12, scale: 2 } as const

describe('the message of a number that cannot be read', () => {
  test.each([
    [DECIMAL, '1,234', 'comma', '["comma"]'],
    [DECIMAL, '-1,234,567.5', 'comma', '["comma"]'],
    [DECIMAL, '1 234', 'blank', '["blank"]'],
    [DECIMAL, '1’234.50', 'apostrophe', '["apostrophe"]'],
    [{ ...DECIMAL, decimalMark: 'comma' as const }, '1.234,5', 'point', '["point"]'],
    [{ ...DECIMAL, thousandsMarks: ['comma' as const] }, '1 234', 'blank', '["comma", "blank"]'],
    [{ name: 'x', type: 'integer' as const }, '1.234', 'point', '["point"]'],
    [
      { name: 'x', type: 'integer' as const, zeroFraction: 'point' as const },
      '1,234.0',
      'comma',
      '["comma"]',
    ],
  ])('%j with %s has advice if its %s separates thousands', async (column, cell, mark, marks) => {
    const [message] = await messages(column, [cell])
    expect(message).toMatch(
      new RegExp(
        `; if the ${mark} separates thousands, declare thousandsMarks: ${marks.replace(/[[\]]/g, '\\$&')}$`,
      ),
    )
  })

  test.each(['1,23', '12,3456', '0,123', 'abc', '1,234;5', '1,23,456'])(
    'does not mention thousands for %s',
    async (cell) => {
      const [message] = await messages(DECIMAL, [cell])
      expect(message).toMatch(/^".*" is not a decimal number/)
      expect(message).not.toContain('thousands')
    },
  )
})

describe('the message of a date that cannot be read', () => {
  const DATE = { name: 'x', type: 'date', formats: ['YYYY-MM-DD', 'D/M/YYYY'] } as const

  test('names the day of a day number of a spreadsheet', async () => {
    const date = await messages({ ...DATE, formats: [...DATE.formats] }, [
      '45352',
      '25569',
      '45352.5',
      '4535',
      '453520',
    ])
    expect(
      date.map((message) => /; it looks like a spreadsheet's day number \((.*)\)$/.exec(message ?? '')?.[1]),
    ).toEqual(['2024-03-01', '1970-01-01', '2024-03-01', undefined, undefined])
    const [time] = await messages({ name: 'x', type: 'timestamp' }, ['45352,25'])
    expect(time).toMatch(
      /is not a date and time of the form .*; it looks like a spreadsheet's day number \(2024-03-01\)$/,
    )
  })

  test('names a two-digit year if no format has one', async () => {
    const found = await messages({ ...DATE, formats: [...DATE.formats] }, [
      '01/03/24',
      '1.3.24',
      '24-03-01',
      '31/02/2024',
    ])
    expect(found.slice(0, 3)).toEqual(
      ['01/03/24', '1.3.24', '24-03-01'].map(
        (cell) => `"${cell}" has a two-digit year; expected a date of the form YYYY-MM-DD or D/M/YYYY`,
      ),
    )
    expect(found[3]).toBe('"31/02/2024" is not a date of the form YYYY-MM-DD or D/M/YYYY')
    const [time] = await messages({ name: 'x', type: 'timestamp', formats: ['D/M/YYYY H:MM'] }, [
      '01/03/24 8:05',
    ])
    expect(time).toBe(
      '"01/03/24 8:05" has a two-digit year; expected a date and time of the form D/M/YYYY H:MM',
    )
    const short = { ...DATE, formats: ['D/M/YY' as const], twoDigitYearPivot: 50 }
    expect(await messages(short, ['31/02/24'])).toEqual(['"31/02/24" is not a date of the form D/M/YY'])
  })
})

test('a cell of # is reported as a column that was too narrow, an error of a formula as such', async () => {
  const found = await messages({ name: 'x', type: 'text' }, ['####', ' ######## ', '#REF!', 'Err:502'])
  expect(found).toEqual([
    '"####" is what a spreadsheet shows when a column is too narrow. Widen the column, and export the file again',
    '" ######## " is what a spreadsheet shows when a column is too narrow. Widen the column, and export the file again',
    '"#REF!" is an error of a spreadsheet formula, not a value. Correct the formula, or leave the cell empty',
    '"Err:502" is an error of a spreadsheet formula, not a value. Correct the formula, or leave the cell empty',
  ])
})

test('a cell without a value is reported as empty, and one that loses all its characters as such', async () => {
  const column = { name: 'x', type: 'text', required: true, normalise: ['digits-only'] } satisfies ColumnInput
  expect(await messages(column, ['', '  ', 'abc'])).toEqual([
    'the cell is empty; a value is required',
    'the cell is empty; a value is required',
    '"abc" is empty after cleaning; a value is required',
  ])
})

test('lengths in messages have thousands separators', async () => {
  const [message] = await messages({ name: 'x', type: 'text' }, ['x'.repeat(5000)])
  expect(message).toBe('the value has 5,000 characters; at most 4,000 are allowed')
})
