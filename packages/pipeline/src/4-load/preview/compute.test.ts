import { expect, test } from 'vitest'
import { addDecimals, negated } from './compute.ts'

test('decimals are added without losing a digit', () => {
  expect(addDecimals(['99999999999999999999.001', '0.999'])).toBe('100000000000000000000.000')
  expect(addDecimals(['0.1', '0.2', '-0.35'])).toBe('-0.05')
  expect(addDecimals(['7', '-7'])).toBe('0')
  expect(addDecimals([])).toBe('0')
})

test('a decimal is negated in the form it is written in', () => {
  expect(negated('-0.50')).toBe('0.50')
  expect(negated('0.000')).toBe('0.000')
})

test('a text that is not a decimal is rejected', () => {
  expect(() => addDecimals(['NaN'])).toThrow('not a decimal number')
})
