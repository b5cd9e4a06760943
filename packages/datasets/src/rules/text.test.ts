import { describe, expect, test } from 'vitest'
import { dkt } from '../shipped/dkt.ts'
import { orders } from '../shipped/orders.ts'
import { production } from '../shipped/production.ts'
import { definitionWith } from '../testing/definitions.ts'
import { expectOutcomes } from '../testing/outcomes.ts'
import { validate } from '../testing/validate.ts'

const code = { name: 'x', type: 'text', code: true } as const
const free = { name: 'x', type: 'text' } as const

describe('a code', () => {
  test('loses invisible characters and every kind of outer space, and is composed', () =>
    expectOutcomes(code, [
      ['Q11\u200B', 'Q11'],
      ['\uFEFFQ\u00AD11\u2060', 'Q11'],
      ['\u202AQ11\u202C', 'Q11'],
      ['\u3000Q\u202F11\u00A0\u2007', 'Q 11'],
      ['\u200B \u00A0', null],
      ['N\u0303andu\u0301', 'Ñandú'],
      ['N\u200B\u0303', 'Ñ'],
      ['e\u0301\uFE0F', 'é'],
      ['ｱｶﾞ', 'ｱｶﾞ'],
      ['東京\u3000', '東京'],
      ['Ωmega \u2126', 'Ωmega Ω'],
    ]))

  test('loses characters that protect it from a spreadsheet', () =>
    expectOutcomes(code, [
      ['="00123"', '00123'],
      ['= "00123"', '00123'],
      ['=""00123""', '00123'],
      ['=“00123”', '00123'],
      [' =" 00123 " ', '00123'],
      ['=""', null],
      ["'00123", '00123'],
      ["'00123'", '00123'],
      ["'M-001", 'M-001'],
      ["'", null],
      ["\u200B'00123", '00123'],
      ["'s-Hertogenbosch", "'s-Hertogenbosch"],
      ["'t Harde", "'t Harde"],
      ["'s1", 's1'],
      ['=A1', '=A1'],
      ['5"', '5"'],
      ["O'Neill", "O'Neill"],
    ]))

  test('that a spreadsheet has rounded is rejected', () =>
    expectOutcomes(code, [
      ['4.68769E+11', ['scientific_code']],
      ['4,68769e+11', ['scientific_code']],
      ['5E+12', ['scientific_code']],
      ['-4.6E+09', ['scientific_code']],
      ['468.769E+9', ['scientific_code']],
      ['4.68769E11', ['scientific_code']],
      ['1.23E-05', ['scientific_code']],
      ['="4.68769E+11"', ['scientific_code']],
      [' 4.68769E+11 ', ['scientific_code']],
      ['1E5', '1E5'],
      ['12E10', '12E10'],
      ['1.5E3', '1.5E3'],
      ['4.68769E+11A', '4.68769E+11A'],
      ['E+11', 'E+11'],
    ]))

  test('is a column that identifies rows or has a dimension, a pattern or a list, unless declared otherwise', async () => {
    const definition = definitionWith(
      [
        { name: 'in_unique', type: 'text' },
        { name: 'patterned', type: 'text', pattern: '.*' },
        { name: 'listed', type: 'text', enum: ['a'] },
        { name: 'company', type: 'text', required: true },
        { name: 'kept', type: 'text', pattern: '.*', code: false },
        { name: 'remark', type: 'text' },
      ],
      { unique: { columns: ['in_unique'] }, scope: { company: 'company' } },
    )
    const record = Object.fromEntries(definition.columns.map(({ name }) => [name, 'a\u200B']))
    const { clean, notes } = await validate(definition, [record])
    expect(clean).toEqual([
      {
        ...{ _rec: '1', _line: '2', in_unique: 'a', patterned: 'a', listed: 'a', company: 'a' },
        ...{ kept: 'a\u200B', remark: 'a\u200B' },
      },
    ])
    expect(notes.cleaned.map(({ column }) => column)).toEqual(['company', 'in_unique', 'listed', 'patterned'])
  })
})

describe('free text', () => {
  test('is composed and loses its outer white space, and nothing else', () =>
    expectOutcomes(free, [
      [' Nin\u0303o\u00A0', 'Niño'],
      ['a\u200Bb\u00A0c', 'a\u200Bb\u00A0c'],
      ['\u3000a', '\u3000a'],
      ["'00123", "'00123"],
      ['="00123"', '="00123"'],
      ['4.68769E+11', '4.68769E+11'],
      ['👩‍🔧 ❤️', '👩‍🔧 ❤️'],
      ['#urgent', '#urgent'],
      ['#WOW!', '#WOW!'],
      ['\\Now', '\\Now'],
      ['नमस्ते', 'नमस्ते'],
      ['각', '각'],
    ]))
})

describe('cells of other types', () => {
  test('can contain invisible characters and have every kind of outer space', async () => {
    await expectOutcomes({ name: 'x', type: 'integer' }, [
      ['\u200E12\u3000', '12'],
      ['\uFEFF1\u200B2', '12'],
      // Some programs write a minus sign so.
      ['\u00AD5', ['not_an_integer']],
      ['1\u00A02', ['not_an_integer']],
    ])
    await expectOutcomes({ name: 'x', type: 'decimal', precision: 9, scale: 2 }, [
      ['\u202F1.5\u2007', '1.50'],
    ])
    await expectOutcomes({ name: 'x', type: 'date', formats: ['DD/MM/YYYY'] }, [
      ['\u200E31\u200E/\u200E01\u200E/\u200E2026', '2026-01-31'],
    ])
    await expectOutcomes({ name: 'x', type: 'boolean', trueWords: ['si\u0301'] }, [['S\u00CD\u00A0', 'true']])
  })
})

describe('errors of spreadsheets', () => {
  const errors = [
    ...[
      '#N/A',
      '#n/a',
      '#REF!',
      '#VALUE!',
      '#DIV/0!',
      '#NAME?',
      '#NUM!',
      '#NULL!',
      '#CALC!',
      '#SPILL!',
      '#GETTING_DATA',
    ],
    ...[
      '#¡DIV/0!',
      '#¿NOMBRE?',
      '#¡VALOR!',
      '#¡REF!',
      '#¡NUM!',
      '#¡NULO!',
      '#N/D',
      '#¡DESBORDAMIENTO!',
      '#NOMBRE?',
    ],
    ...['#WERT!', '#NV', '#NOM?', '#NU\u0301M!', 'Err:502', '########', ' #N/A\u00A0'],
  ]

  test('are rejected in every column, for that and no other reason', async () => {
    const rejects = errors.map((text): [string, string[]] => [text, ['spreadsheet_error']])
    await expectOutcomes(code, rejects)
    await expectOutcomes({ ...free, maxLength: 2, normalise: ['upper'] }, rejects)
    await expectOutcomes({ ...free, normalise: ['digits-only'] }, rejects)
    await expectOutcomes({ ...free, pattern: 'a+', normalise: ['lower', 'strip-accents'] }, rejects)
    await expectOutcomes({ name: 'x', type: 'integer', min: 1 }, rejects)
    await expectOutcomes({ name: 'x', type: 'decimal', precision: 9, scale: 2 }, rejects)
    await expectOutcomes({ name: 'x', type: 'date' }, rejects)
    await expectOutcomes({ name: 'x', type: 'timestamp' }, rejects)
    await expectOutcomes({ name: 'x', type: 'boolean' }, rejects)
  })

  test('are values if the definition lists them, and null if it declares that', async () => {
    await expectOutcomes({ ...free, enum: ['#N/A', 'a'] }, [['#N/A', '#N/A']])
    await expectOutcomes({ ...free, nullWords: ['#N/A'] }, [
      ['#N/A', null],
      ['#REF!', ['spreadsheet_error']],
    ])
  })
})

describe('words for null', () => {
  test('are declared for the dataset or for a column, and apply in upper and lower case', async () => {
    await expectOutcomes({ ...free, nullWords: ['NULL', '\\N', '-', 'Sin dato', '¿?', '#¡REF!'] }, [
      ['¿?', null],
      ['#¡ref!', null],
      ['null', null],
      ['\\N', null],
      [' - ', null],
      ['SIN DATO\u00A0', null],
      ['--', '--'],
      ['nullify', 'nullify'],
      ['N/A', 'N/A'],
    ])
    await expectOutcomes({ name: 'x', type: 'integer', nullWords: ['-', 'nan'] }, [
      ['-', null],
      ['NaN', null],
      ['-5', '-5'],
    ])
    const definition = definitionWith(
      [
        { name: 'a', type: 'text' },
        { name: 'b', type: 'date' },
        { name: 'c', type: 'text', nullWords: [] },
        { name: 'd', type: 'text', normalise: ['digits-only'] },
      ],
      { nullWords: ['NULL'] },
    )
    const { clean, notes } = await validate(definition, [{ a: 'NULL', b: 'null', c: 'NULL', d: 'NULL' }])
    expect(clean).toEqual([{ _rec: '1', _line: '2', a: null, b: null, c: 'NULL', d: null }])
    expect(notes).toEqual({
      cleaned: [],
      null_word: ['a', 'b', 'd'].map((column) => ({ column, count: 1 })),
      undeclared: [],
    })
  })

  test('are missing values in a required column', async () => {
    const { bad } = await validate(definitionWith([{ ...free, required: true, nullWords: ['NULL'] }]), [
      { x: 'NULL' },
      { x: '' },
    ])
    expect(bad.map(({ reasons }) => reasons.map(({ code, message }) => [code, message]))).toEqual([
      [['required', '"NULL" is a word for "no value"; a value is required']],
      [['required', 'the cell is empty; a value is required']],
    ])
  })

  test('that are not declared are reported in texts, but \\N is rejected in every column', async () => {
    await expectOutcomes(free, [['\\N', ['null_word']]])
    await expectOutcomes({ name: 'x', type: 'date' }, [['\\N', ['null_word']]])
    const { notes } = await validate(definitionWith([free, { name: 'y', type: 'text', nullWords: [] }]), [
      ...['NULL', 'nan', 'N/A', 'None', '(null)', 'no value', 'Nullarbor'].map((x) => ({ x, y: x })),
    ])
    expect(notes.undeclared).toEqual([{ column: 'x', count: 5 }])
  })

  test('that are not declared are reported even if others are, except listed values of a column', async () => {
    const columns = [
      { name: 'a', type: 'text' as const },
      { name: 'b', type: 'text' as const, nullWords: ['nan'] },
      { name: 'c', type: 'text' as const, enum: ['nan', 'None'] },
      { name: 'd', type: 'text' as const, nullWords: [] },
    ]
    const cells = ['nan', 'NaN', 'None', 'NULL']
    const { notes } = await validate(
      definitionWith(columns, { nullWords: ['NULL', 'N/A'] }),
      cells.map((a, index) => ({ a, b: a, c: index < 2 ? 'nan' : 'None', d: a })),
    )
    expect(notes.undeclared).toEqual([
      { column: 'a', count: 3 },
      { column: 'b', count: 2 },
    ])
  })

  test('of Excel, pandas, SQL Server and PostgreSQL are declared by the shipped datasets', () => {
    for (const { nullWords = [] } of [production, orders, dkt])
      for (const word of ['NULL', 'nan', 'NaN', 'NaT', '<NA>', 'None', '(null)', '\\N', 'N/A'])
        expect(nullWords.map((one) => one.toLowerCase())).toContain(word.toLowerCase())
  })
})

test('cleaned cells are counted by column, except for outer white space', async () => {
  const definition = definitionWith(
    [
      { name: 'k', type: 'text' },
      { name: 'n', type: 'integer' },
      { name: 't', type: 'text' },
    ],
    { unique: { columns: ['k'] } },
  )
  const { notes } = await validate(definition, [
    { k: ' A\u00A0', n: '\u00A01', t: '\u00A0ñ ' },
    { k: 'B\u200B', n: '2', t: 'n\u0303' },
    { k: 'B', n: '3\u200E', t: '' },
    { k: "'C", n: 'bad\u200B', t: '' },
    { k: 'Ω東京', n: '4', t: '東京😀' },
  ])
  expect(notes.cleaned).toEqual([
    { column: 'k', count: 1 },
    { column: 'n', count: 1 },
    { column: 't', count: 1 },
  ])
})
