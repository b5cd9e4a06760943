import { expect, test } from 'vitest'
import { percentage, shareAbove } from './shares.ts'

test('a share above its limit is never written like the limit, nor as 100 % if it is less', () => {
  const cases: [rejected: number, records: number, limit: number, share: string, allowed: string][] = [
    [2, 6, 0.2, '33.3 %', '20 %'],
    [200_001, 1_000_000, 0.2, '20.0001 %', '20 %'],
    [1, 100_000, 0, '0.001 %', '0 %'],
    [5, 10_000, 0.0004, '0.05 %', '0.04 %'],
    [9_999, 10_000, 0.5, '99.99 %', '50 %'],
    [99_999, 100_000, 0.9999, '99.999 %', '99.99 %'],
    [20, 20, 0.2, '100.0 %', '20 %'],
    [2, 3, 0.125, '66.7 %', '12.5 %'],
  ]
  for (const [rejected, records, limit, share, allowed] of cases)
    expect(shareAbove(rejected / records, limit)).toEqual({ share, limit: allowed })
})

test('a percentage has the decimals that it needs', () => {
  expect([0, 0.2, 0.125, 0.0004, 1 / 3, 1].map(percentage)).toEqual([
    '0',
    '20',
    '12.5',
    '0.04',
    '33.333333333',
    '100',
  ])
})
