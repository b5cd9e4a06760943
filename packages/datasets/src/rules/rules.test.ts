import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { validate } from '../testing/validate.ts'

/** The clean value (as text), or the codes of the reasons, of each cell of a one-column file. */
async function outcomes(column: ColumnInput, cells: readonly string[], embedded = false) {
  const definition = definitionWith([{ name: 'line', type: 'integer', required: true }, column])
  const records = cells.map((cell, index) => ({ line: String(index + 1), [column.name]: cell }))
  const { clean, bad, totals } = await validate(definition, records, { embedded })
  expect(totals.good + totals.rejected).toBe(cells.length)
  return cells.map((_, index) => {
    const row = clean.find(({ _rec }) => _rec === String(index + 1))
    if (row) return row[column.name]
    return bad.find(({ record }) => record === index + 1)?.reasons.map(({ code }) => code)
  })
}

/** Runs a table of cell → outcome. */
async function expectOutcomes(column: ColumnInput, table: [string, string | null | string[]][]) {
  const found = await outcomes(
    column,
    table.map(([cell]) => cell),
  )
  expect(table.map(([cell], index) => [cell, found[index]])).toEqual(table)
}

describe('whole numbers', () => {
  test('are digits with an optional sign; what a cast would round or interpret is a reject', () =>
    expectOutcomes({ name: 'n', type: 'integer' }, [
      ['12', '12'],
      ['  12\u00a0', '12'],
      ['\ufeff7\t', '7'],
      ['+5', '5'],
      ['-0', '0'],
      ['007', '7'],
      ['', null],
      [' \t', null],
      ['12.0', ['not_an_integer']],
      ['12,0', ['not_an_integer']],
      ['1e3', ['not_an_integer']],
      ['0x1F', ['not_an_integer']],
      ['1_000', ['not_an_integer']],
      ['1 000', ['not_an_integer']],
      ['--1', ['not_an_integer']],
      ['١٢', ['not_an_integer']],
      ['NaN', ['not_an_integer']],
      ['2147483647', '2147483647'],
      ['2147483648', ['too_large']],
      ['-2147483648', '-2147483648'],
      ['-2147483649', ['too_small']],
      [`${'9'.repeat(300)}`, ['too_large']],
      [`-${'9'.repeat(300)}`, ['too_small']],
    ]))

  test('keep within their bounds and their size', async () => {
    await expectOutcomes({ name: 'n', type: 'integer', bits: 16, min: 1, max: 3 }, [
      ['0', ['too_small']],
      ['1', '1'],
      ['3', '3'],
      ['4', ['too_large']],
      ['99999', ['too_large']],
    ])
    await expectOutcomes({ name: 'n', type: 'integer', bits: 64 }, [
      ['9223372036854775807', '9223372036854775807'],
      ['9223372036854775808', ['too_large']],
      ['-9223372036854775808', '-9223372036854775808'],
    ])
  })
})

describe('decimals', () => {
  test('take the declared mark, and no thousands separators', async () => {
    const either: [string, string | null | string[]][] = [
      ['1234,5', '1234.500'],
      ['1234.5', '1234.500'],
      ['.5', '0.500'],
      ['-,5', '-0.500'],
      ['+7', '7.000'],
      ['1.234,5', ['not_a_decimal']],
      ['1,234.5', ['not_a_decimal']],
      ['1.', ['not_a_decimal']],
      ['1e3', ['not_a_decimal']],
      ['inf', ['not_a_decimal']],
      ['1_0', ['not_a_decimal']],
      ['12 kg', ['not_a_decimal']],
    ]
    await expectOutcomes(
      { name: 'd', type: 'decimal', precision: 12, scale: 3, decimalMark: 'either' },
      either,
    )
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 12, scale: 3 }, [
      ['1,5', ['not_a_decimal']],
      ['1.5', '1.500'],
    ])
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 12, scale: 3, decimalMark: 'comma' }, [
      ['1,5', '1.500'],
      ['1.5', ['not_a_decimal']],
    ])
  })

  test('are never rounded: more digits than the column keeps are a reject, unless they are zeros', () =>
    expectOutcomes({ name: 'd', type: 'decimal', precision: 5, scale: 2, min: -10.5, max: 500 }, [
      ['1.234', ['too_precise']],
      ['1.2300000000000000000000000000000000000000000', '1.23'],
      ['0000000000000000000000000000000000000000001.5', '1.50'],
      ['999.994', ['too_precise']],
      ['500', '500.00'],
      ['500.01', ['too_large']],
      ['1000', ['too_large']],
      ['-1000', ['too_small']],
      ['-10.5', '-10.50'],
      ['-10.51', ['too_small']],
      ['12345678.999', ['too_precise']],
    ]))

  test('of extreme declarations hold what PostgreSQL holds', async () => {
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 38, scale: 10 }, [
      ['1234567890123456789012345678.0123456789', '1234567890123456789012345678.0123456789'],
      ['12345678901234567890123456789', ['too_large']],
    ])
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 3, scale: 3 }, [
      ['0.999', '.999'],
      ['.001', '.001'],
      ['1', ['too_large']],
      ['-1.5', ['too_small']],
    ])
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 3, scale: 0 }, [
      ['12.0', '12'],
      ['12.5', ['too_precise']],
      ['.0', '0'],
    ])
  })
})

describe('dates', () => {
  test('exist, stand in a declared form, and lie within the bounds', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['YYYY-MM-DD', 'DD/MM/YYYY', 'DD-MM-YYYY'] }, [
      ['2026-01-31', '2026-01-31'],
      ['31/01/2026', '2026-01-31'],
      ['31-01-2026', '2026-01-31'],
      ['29/02/2024', '2024-02-29'],
      ['29/02/2026', ['not_a_date']],
      ['31/02/2026', ['not_a_date']],
      ['2026-02-30', ['not_a_date']],
      ['2026-13-01', ['not_a_date']],
      ['13/13/2026', ['not_a_date']],
      ['2026-1-5', ['not_a_date']],
      ['1/2/2026', ['not_a_date']],
      ['01/02/26', ['not_a_date']],
      ['2026-01-31 10:00', ['not_a_date']],
      ['20260131', ['not_a_date']],
      ['infinity', ['not_a_date']],
      ['epoch', ['not_a_date']],
      ['today', ['not_a_date']],
      ['46023', ['not_a_date']],
      ['0000-00-00', ['not_a_date']],
      ['1899-12-31', ['too_small']],
      ['2100-12-31', '2100-12-31'],
      ['01/01/2101', ['too_large']],
      ['0001-01-01', ['too_small']],
      ['9999-12-31', ['too_large']],
    ]))

  test('of every other form', () =>
    expectOutcomes({ name: 'f', type: 'date', formats: ['YYYY/MM/DD', 'DD.MM.YYYY', 'YYYYMMDD'] }, [
      ['2026/01/31', '2026-01-31'],
      ['31.01.2026', '2026-01-31'],
      ['20260131', '2026-01-31'],
      ['31x01x2026', ['not_a_date']],
      ['20261301', ['not_a_date']],
    ]))
})

describe('timestamps', () => {
  const UTC_MORNING = '2026-01-31 13:05:00+00'

  test('are instants: local times by the declared zone, others by their offset', () =>
    expectOutcomes({ name: 't', type: 'timestamp', formats: ['ISO8601', 'YYYY-MM-DD HH:MM'] }, [
      ['2026-01-31T08:05:00', UTC_MORNING],
      ['2026-01-31T08:05', UTC_MORNING],
      ['2026-01-31 08:05', UTC_MORNING],
      ['2026-01-31T13:05:00Z', UTC_MORNING],
      ['2026-01-31T08:05:00-05:00', UTC_MORNING],
      ['2026-01-31T08:05:00-0500', UTC_MORNING],
      ['2026-01-31T08:05:00-05', UTC_MORNING],
      ['2026-01-31T18:35:00+05:30', UTC_MORNING],
      ['2026-01-31T13:05:00.250Z', '2026-01-31 13:05:00.25+00'],
      ['2026-01-31T13:05:00,250Z', '2026-01-31 13:05:00.25+00'],
      ['2026-01-31T13:05Z', UTC_MORNING],
      ['2026-01-31T08:05-0500', UTC_MORNING],
      ['2026-02-31T08:05:00Z', ['not_a_timestamp']],
      ['2026-01-31T24:00:00Z', ['not_a_timestamp']],
      ['2026-01-31T08:60:00Z', ['not_a_timestamp']],
      ['2026-01-31', ['not_a_timestamp']],
      ['infinity', ['not_a_timestamp']],
      ['1899-12-31T23:59:59', ['too_small']],
      ['2100-12-31T23:59:59', '2101-01-01 04:59:59+00'],
      ['2101-01-01T00:00:00', ['too_large']],
    ]))

  test('of every other form', () =>
    expectOutcomes(
      {
        name: 't',
        type: 'timestamp',
        timeZone: 'UTC',
        formats: [
          'YYYY-MM-DD HH:MM:SS',
          'YYYY-MM-DDTHH:MM:SS',
          'YYYY/MM/DD HH:MM',
          'YYYY/MM/DD HH:MM:SS',
          'DD/MM/YYYY HH:MM',
          'DD/MM/YYYY HH:MM:SS',
        ],
      },
      [
        ['2026-01-31 13:05:00', UTC_MORNING],
        ['2026-01-31T13:05:00', UTC_MORNING],
        ['2026/01/31 13:05', UTC_MORNING],
        ['2026/01/31 13:05:00', UTC_MORNING],
        ['31/01/2026 13:05', UTC_MORNING],
        ['31/01/2026 13:05:00', UTC_MORNING],
        ['31/02/2026 13:05:00', ['not_a_timestamp']],
      ],
    ))
})

describe('booleans', () => {
  test('are words, in any case', () =>
    expectOutcomes({ name: 'b', type: 'boolean' }, [
      ['SÍ', 'true'],
      ['si', 'true'],
      ['1', 'true'],
      ['No', 'false'],
      ['', null],
      ['maybe', ['not_a_boolean']],
      ['t', ['not_a_boolean']],
    ]))
})

describe('texts', () => {
  test('have lengths in characters, a pattern that matches in full, and a list of values', async () => {
    await expectOutcomes({ name: 'x', type: 'text', minLength: 2, maxLength: 3 }, [
      ['ñññ', 'ñññ'],
      ['😀😀😀', '😀😀😀'],
      ['abcd', ['too_long']],
      ['a', ['too_short']],
      ['', null],
    ])
    await expectOutcomes({ name: 'x', type: 'text', pattern: String.raw`M\d{3}`, normalise: ['upper'] }, [
      ['m001', 'M001'],
      ['M0011', ['pattern']],
      ['xM001', ['pattern']],
      ['M001\nM002', ['pattern']],
    ])
    await expectOutcomes({ name: 'x', type: 'text', enum: ["it's", 'b\\'] }, [
      ["it's", "it's"],
      ['b\\', 'b\\'],
      ['c', ['not_allowed']],
    ])
  })

  test('of a list of thousands of values are looked up', async () => {
    const values = Array.from({ length: 5000 }, (_, index) => `V${index}`)
    await expectOutcomes({ name: 'x', type: 'text', enum: values }, [
      ['V4999', 'V4999'],
      ['V5000', ['not_allowed']],
      ['', null],
    ])
  })

  test('break several rules at once and say all of them', () =>
    expectOutcomes({ name: 'x', type: 'text', maxLength: 3, pattern: '[a-z]*', enum: ['abc'] }, [
      ['ABCD', ['too_long', 'pattern', 'not_allowed']],
    ]))

  test('are normalised in a fixed order before any rule', async () => {
    await expectOutcomes(
      { name: 'x', type: 'text', normalise: ['strip-accents', 'collapse-spaces', 'upper'] },
      [[' José\u00a0 \t Pérez ', 'JOSE PEREZ']],
    )
    await expectOutcomes({ name: 'x', type: 'text', normalise: ['digits-only'], required: true }, [
      ['NIT 900.123-4', '9001234'],
      ['none', ['required']],
    ])
  })

  test('get the line ends back that the parser replaced', async () => {
    const found = await outcomes(
      { name: 'x', type: 'text' },
      ['a\u001db\u001e\u001dc'.replace('\u001db', '\u001d\u001eb')],
      true,
    )
    expect(found).toEqual(['a\r\nb\n\rc'])
  })
})

describe('a required cell', () => {
  test('must not be empty, in every type', async () => {
    const types: ColumnInput[] = [
      { name: 'a', type: 'text', required: true },
      { name: 'b', type: 'integer', required: true },
      { name: 'c', type: 'decimal', precision: 5, scale: 2, required: true },
      { name: 'd', type: 'date', required: true },
      { name: 'e', type: 'timestamp', required: true },
      { name: 'f', type: 'boolean', required: true },
    ]
    const { bad } = await validate(definitionWith(types), [{}, { a: ' \u00a0' }])
    for (const { reasons } of bad)
      expect(reasons.map(({ column, code }) => `${column} ${code}`)).toEqual(
        types.map(({ name }) => `${name} required`),
      )
    expect(bad).toHaveLength(2)
  })

  test('is missing when the file does not bring its column; an optional one is just empty', async () => {
    const definition = definitionWith([
      { name: 'a', type: 'text' },
      { name: 'b', type: 'integer' },
    ])
    const { clean } = await validate(definition, [{ a: 'x' }], { columns: ['a'] })
    expect(clean).toEqual([{ _rec: '1', _line: '2', a: 'x', b: null }])
  })
})

describe('a reason', () => {
  test('names what was found and what was expected, with the original text', async () => {
    const definition = definitionWith([
      { name: 'f', type: 'date', formats: ['YYYY-MM-DD', 'DD/MM/YYYY', 'DD-MM-YYYY'] },
      { name: 'n', type: 'integer', min: 0 },
    ])
    const { bad } = await validate(definition, [{ f: ' 31/02/2026', n: '-5' }])
    expect(bad[0]?.reasons).toEqual([
      {
        column: 'f',
        code: 'not_a_date',
        message: '" 31/02/2026" is not a date of the form YYYY-MM-DD, DD/MM/YYYY or DD-MM-YYYY',
        value: ' 31/02/2026',
      },
      { column: 'n', code: 'too_small', message: '"-5" is less than 0', value: '-5' },
    ])
  })

  test('keeps at most 200 characters of the value', async () => {
    const { bad } = await validate(definitionWith([{ name: 'n', type: 'integer' }]), [{ n: 'ñ'.repeat(500) }])
    expect(bad[0]?.reasons[0]?.value).toBe('ñ'.repeat(200))
  })
})
