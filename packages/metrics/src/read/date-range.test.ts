import { ProblemError } from '@aduana/contracts/problems'
import { expect, test } from 'vitest'
import { resolveDateRange, todayIn } from './date-range.ts'

// A Sunday.
const TODAY = '2026-03-01'

test.each([
  ['today', '2026-03-01', '2026-03-02'],
  ['yesterday', '2026-02-28', '2026-03-01'],
  ['last_1_days', '2026-03-01', '2026-03-02'],
  ['last_7_days', '2026-02-23', '2026-03-02'],
  ['last_365_days', '2025-03-02', '2026-03-02'],
  ['this_week', '2026-02-23', '2026-03-02'],
  ['last_week', '2026-02-16', '2026-02-23'],
  ['this_month', '2026-03-01', '2026-04-01'],
  ['last_month', '2026-02-01', '2026-03-01'],
  ['this_year', '2026-01-01', '2027-01-01'],
  ['last_year', '2025-01-01', '2026-01-01'],
  ['2024-02-29..2024-03-01', '2024-02-29', '2024-03-01'],
])('%s begins on %s and ends before %s', (text, from, to) => {
  expect(resolveDateRange(text, TODAY)).toEqual({ from, to })
})

test('the month before January is December', () => {
  expect(resolveDateRange('last_month', '2026-01-31')).toEqual({ from: '2025-12-01', to: '2026-01-01' })
})

test.each([
  '',
  'last_0_days',
  'last_07_days',
  'last_99999_days',
  '2026-02-30..2026-03-01',
  '2026-01-01..',
  'constructor',
  '2026-01-01..2026-01-02..2026-01-03',
  '1990-01-01..2026-01-01',
  '0000-01-01..0000-01-02',
])('"%s" is refused', (text) => {
  expect(() => resolveDateRange(text, TODAY)).toThrow(ProblemError)
})

test('today depends on the time zone', () => {
  const now = new Date('2026-03-01T03:00:00Z')
  expect([todayIn('UTC', now), todayIn('America/Bogota', now), todayIn('Pacific/Auckland', now)]).toEqual([
    '2026-03-01',
    '2026-02-28',
    '2026-03-01',
  ])
  expect(() => todayIn('Mars/Olympus', now)).toThrow(ProblemError)
})
