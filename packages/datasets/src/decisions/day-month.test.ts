import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { validate } from '../testing/validate.ts'
import { contradictionFailure, decisionWarnings } from './column-decisions.ts'

type DateInput = Extract<ColumnInput, { type: 'date' | 'timestamp' }>

const dayFirst: DateInput = { name: 'd', type: 'date', formats: ['YYYY-MM-DD', 'D/M/YYYY', 'D-M-YYYY'] }
const either: DateInput = { name: 'd', type: 'date', formats: ['DD/MM/YYYY', 'MM/DD/YYYY'] }

async function read(column: DateInput, cells: readonly string[]) {
  const definition = definitionWith([{ name: 'line', type: 'text', required: true }, column])
  const { clean, bad, decisions } = await validate(
    definition,
    cells.map((cell) => ({ line: 'x', d: cell })),
  )
  return {
    values: cells.map(
      (_, index) =>
        clean.find(({ _rec }) => _rec === String(index + 1))?.d ??
        bad.find(({ record }) => record === index + 1)?.reasons[0]?.code ??
        null,
    ),
    by: decisions[0] && `${decisions[0].reading} ${decisions[0].by}`,
    warnings: decisionWarnings(decisions),
    refused: contradictionFailure(decisions)?.detail,
  }
}

const days = (from: number, to: number, rest: string) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${String(from + index).padStart(2, '0')}${rest}`)

describe('dates of a dataset that has the day first', () => {
  test.each([
    ['ISO dates', ['2017-03-01', '2017-12-02']],
    ['a day above 12', ['01/02/2017', '01/05/2017', '13/07/2017']],
    ['one day', ['05/03/2024', '05/03/2024']],
    ['days of one month', days(1, 12, '/03/2024')],
    ['two days that follow each other', ['05/03/2024', '06/03/2024']],
    ['the first days of two months', [...days(1, 5, '/03/2024'), ...days(1, 5, '/04/2024')]],
    ['late corrections', ['05/03/2024', '04/03/2024', '02/02/2024']],
    ['days that are equal to their months', ['01/01/2024', '02/02/2024', '03/03/2024']],
    ['dashes', ['13-07-2017', '01-02-2017']],
    ['dates before others in the same cell', ['13/07/2017 00:00', '01/02/2017']],
    ['no dates at all', ['', 'x']],
  ])('are read without a warning: %s', async (_, cells) => {
    const { warnings, refused } = await read(dayFirst, cells)
    expect({ warnings, refused }).toEqual({ warnings: [], refused: undefined })
  })

  test.each([
    ['days that would follow each other with the month first', ['03/01/2017', '03/02/2017', '03/04/2017']],
    ['two of them', ['03/05/2024', '03/06/2024']],
    ['days that are scattered in both readings', ['05/03/2024', '07/04/2024', '02/06/2024', '11/09/2024']],
    ['the first days of all months', days(1, 12, '/2024').map((month) => `01/${month}`)],
    ['dashes', ['03-05-2024', '03-06-2024']],
    ['without leading zeros', ['3/5/2024', '3/6/2024']],
    ['beside dates that have the year first', ['2024-05-01', '3/5/2024', '3/6/2024']],
  ])('are reported if they are in several months and no day decides: %s', async (_, cells) => {
    const { warnings, refused, by } = await read(dayFirst, cells)
    expect(warnings).toMatchObject([{ code: 'ambiguous_day_month', column: 'd' }])
    expect({ refused, by }).toEqual({ refused: undefined, by: 'day_first assumed' })
  })

  test('are reported if only ambiguous ones have no leading zeros', async () => {
    const { warnings } = await read(dayFirst, ['13/01/2024', '15/01/2024', '1/2/2024'])
    expect(warnings[0]?.message).toMatch(/lack the leading zeros .* may have exchanged day and month/)
  })

  test('fail a file that must have the month first', async () => {
    const cells = ['03/01/2017', '03/02/2017', '03/03/2017', '03/04/2017', '03/13/2017']
    const { refused } = await read(dayFirst, cells)
    expect(refused).toMatch(
      /^Column "d" is declared with the day before the month, but "03\/13\/2017" \(line 6\) has the month before the day, so 3 other dates such as "03\/01\/2017" \(line 2\) would be read as the wrong day\. Nothing was changed\./,
    )
    expect((await read({ ...dayFirst, dayMonthOrder: 'declared' }, cells)).refused).toBe(refused)
    expect((await read({ ...dayFirst, formats: ['DD/MM/YYYY'] }, cells)).refused).toBe(refused)
  })

  test('treat one wrong month among many as an error', async () => {
    const cells = [...days(13, 31, '/03/2017'), '03/13/2017', '04/05/2017']
    const { refused, values } = await read(dayFirst, cells)
    expect(refused).toBeUndefined()
    expect(values.slice(-2)).toEqual(['not_a_date', '2017-05-04'])
  })

  test('are not reported if their order is fixed', async () => {
    const cells = ['03/01/2017', '03/02/2017']
    for (const column of [
      { ...dayFirst, dayMonthOrder: 'declared' as const },
      { ...dayFirst, formats: ['DD/MM/YYYY' as const] },
      { ...dayFirst, formats: ['DD/MM/YYYY' as const, 'D/M/YYYY' as const] },
    ])
      expect((await read(column, cells)).warnings).toEqual([])
  })
})

describe('dates of a dataset that takes both orders', () => {
  test.each([
    [['03/01/2017', '03/13/2017'], ['2017-03-01', '2017-03-13'], 'month_first cells'],
    [['03/01/2017', '13/03/2017'], ['2017-01-03', '2017-03-13'], 'day_first cells'],
    [
      ['03/01/2017', '03/02/2017', '03/04/2017'],
      ['2017-03-01', '2017-03-02', '2017-03-04'],
      'month_first nearness',
    ],
    [days(1, 3, '/03/2017'), ['2017-03-01', '2017-03-02', '2017-03-03'], 'day_first nearness'],
  ])('are read by the order that the file has: %j', async (cells, values, by) => {
    expect(await read(either, cells)).toEqual({ values, by, warnings: [], refused: undefined })
  })

  test('are reported if nothing decides, and read by the first format', async () => {
    const found = await read(either, ['05/03/2024'])
    expect(found).toMatchObject({ values: ['2024-03-05'], by: 'day_first assumed' })
    expect(found.warnings).toMatchObject([{ code: 'ambiguous_day_month', count: 1 }])
  })

  test('fail a file with both', async () => {
    expect((await read(either, ['13/03/2017', '03/13/2017'])).refused).toMatch(
      /has 1 date with the day before the month, such as "13\/03\/2017" \(line 2\), and 1 with the month before the day/,
    )
  })
})

test('two-digit years also decide, even 00', async () => {
  const column: DateInput = {
    name: 'd',
    type: 'date',
    formats: ['DD/MM/YY', 'MM/DD/YY'],
    twoDigitYearPivot: 50,
  }
  expect(await read(column, ['01/13/00', '02/03/00'])).toMatchObject({
    ...{ values: ['2000-01-13', '2000-02-03'], by: 'month_first cells', refused: undefined },
  })
})

test('timestamps are also read by one order', async () => {
  const column: DateInput = {
    ...{ name: 'd', type: 'timestamp', timeZone: 'UTC', formats: ['ISO8601', 'D/M/YYYY H:MM'] },
  }
  expect((await read(column, ['03/01/2017 10:00', '03/13/2017 9:05'])).refused).toMatch(
    /month before the day/,
  )
  expect((await read(column, ['3/1/2017 10:00', '3/2/2017 9:05'])).warnings).toMatchObject([
    { code: 'ambiguous_day_month', count: 2 },
  ])
  expect((await read(column, ['3/1/2017 10:00', '13/2/2017 9:05'])).values).toEqual([
    '2017-01-03 10:00:00+00',
    '2017-02-13 09:05:00+00',
  ])
})
