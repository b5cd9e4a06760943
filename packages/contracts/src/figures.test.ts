import { expect, test } from 'vitest'
import { counted, figure } from './figures.ts'

test('a number of things has separators between thousands, and the singular for one', () => {
  expect([0, 1, 2, 43847].map((number) => counted(number, 'day'))).toEqual([
    '0 days',
    '1 day',
    '2 days',
    '43,847 days',
  ])
  expect([1n, 1000n].map((number) => counted(number, 'entry', 'entries'))).toEqual([
    '1 entry',
    '1,000 entries',
  ])
  expect(figure(120000)).toBe('120,000')
})
