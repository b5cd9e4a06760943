import { expect, test } from 'vitest'
import { failsForRejects, percentage, shareAbove } from './rejects.ts'

test.each([
  ['as many rejects as the dataset allows', 0.25, { records: 8, rejected: 2, clean: 6 }, false],
  ['one more', 0.25, { records: 8, rejected: 3, clean: 5 }, true],
  ['no clean record, although all may be rejected', 1, { records: 2, rejected: 2, clean: 0 }, true],
  ['only repeated records beside its rejects', 1, { records: 3, rejected: 1, clean: 0 }, true],
  ['one clean record, if all others may be rejected', 1, { records: 100, rejected: 99, clean: 1 }, false],
  ['no records at all', 0, { records: 0, rejected: 0, clean: 0 }, false],
])('whether an import fails that has %s', (_, maxRejectRatio, counts, fails) => {
  expect(failsForRejects({ maxRejectRatio }, counts)).toBe(fails)
})

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
