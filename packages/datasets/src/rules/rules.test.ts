import { describe, expect, test } from 'vitest'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { expectOutcomes } from '../testing/outcomes.ts'
import { validate } from '../testing/validate.ts'

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
  test('have lengths in characters, a pattern for the whole text, and a list of values', async () => {
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

  test('can have a list of thousands of values', async () => {
    const values = Array.from({ length: 5000 }, (_, index) => `V${index}`)
    await expectOutcomes({ name: 'x', type: 'text', enum: values }, [
      ['V4999', 'V4999'],
      ['V5000', ['not_allowed']],
      ['', null],
    ])
  })

  test('can break several rules, and all are reported', () =>
    expectOutcomes({ name: 'x', type: 'text', maxLength: 3, pattern: '[a-z]*', enum: ['abc'] }, [
      ['ABCD', ['too_long', 'pattern', 'not_allowed']],
    ]))

  test('are normalized in a fixed order before all rules', async () => {
    await expectOutcomes(
      { name: 'x', type: 'text', normalise: ['strip-accents', 'collapse-spaces', 'upper'] },
      [[' José\u00a0 \t Pérez ', 'JOSE PEREZ']],
    )
    await expectOutcomes({ name: 'x', type: 'text', normalise: ['digits-only'], required: true }, [
      ['NIT 900.123-4', '9001234'],
      ['none', ['required']],
    ])
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

  test('is missing if the file does not have its column; an optional one is empty', async () => {
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

  test('contains at most 200 characters of the value', async () => {
    const { bad } = await validate(definitionWith([{ name: 'n', type: 'integer' }]), [{ n: 'ñ'.repeat(500) }])
    expect(bad[0]?.reasons[0]?.value).toBe('ñ'.repeat(200))
  })
})
