import { describe, test } from 'vitest'
import { expectOutcomes } from '../testing/outcomes.ts'

describe('whole numbers', () => {
  test('are digits with an optional sign; anything that a cast would round or interpret is rejected', () =>
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

  test('are within their bounds and their size', async () => {
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
  test('have the declared mark and no thousands separators', async () => {
    const either = { name: 'd', type: 'decimal', precision: 12, scale: 3, decimalMark: 'either' } as const
    const wrong: [string, string[]][] = ['1.234,5,1', '1.', '1e3', 'inf', '1_0', '12 kg'].map((cell) => [
      cell,
      ['not_a_decimal'],
    ])
    await expectOutcomes(either, [
      ['1234,5', '1234.500'],
      ['-,5', '-0.500'],
      ['+7', '7.000'],
      ['1.234,5', ['not_a_decimal']],
      ...wrong,
    ])
    await expectOutcomes(either, [
      ['1234.5', '1234.500'],
      ['.5', '0.500'],
      ['1,234.5', ['not_a_decimal']],
      ...wrong,
    ])
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 12, scale: 3 }, [
      ['1,5', ['not_a_decimal']],
      ['1.5', '1.500'],
    ])
    await expectOutcomes({ name: 'd', type: 'decimal', precision: 12, scale: 3, decimalMark: 'comma' }, [
      ['1,5', '1.500'],
      ['1.5', ['not_a_decimal']],
    ])
  })

  test('are never rounded: more digits than the column stores are rejected, unless they are zeros', () =>
    expectOutcomes({ name: 'd', type: 'decimal', precision: 5, scale: 2, min: -10.5, max: 500 }, [
      ['1.234', ['too_precise']],
      ['1.2300000000000000000000000000000000000000000', '1.23'],
      ['0000000000000000000000000000000000000000001.5', '1.50'],
      ['999.994', ['too_large', 'too_precise']],
      ['500', '500.00'],
      ['500.01', ['too_large']],
      ['1000', ['too_large']],
      ['-1000', ['too_small']],
      ['-10.5', '-10.50'],
      ['-10.51', ['too_small']],
      ['12345678.999', ['too_large', 'too_precise']],
      ['-1.2345', ['too_precise']],
      ['-11.2345', ['too_small', 'too_precise']],
    ]))

  test('with extreme precisions have the range of PostgreSQL', async () => {
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
