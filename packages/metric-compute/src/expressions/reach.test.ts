import type { Expression } from '@aduana/contracts/metrics/expression'
import { describe, expect, test } from 'vitest'
import { unionOfDays } from './days.ts'
import { reachOf } from './reach.ts'
import { referencesOf } from './references.ts'

const amount: Expression = { type: 'aggregate', op: 'sum', series: 'sales.amount' }
const rolling = (of: Expression, days: number): Expression => ({
  type: 'rolling',
  op: 'sum',
  of,
  days,
  minDays: 1,
})
const growth = (of: Expression, days: number): Expression => ({
  type: 'growth',
  of,
  days,
  as: 'percent',
  onZero: 'missing',
})
const cumulative = (of: Expression, reset: 'year' | 'quarter' | 'month' | 'week'): Expression => ({
  type: 'cumulative',
  op: 'sum',
  of,
  reset,
})

const show = (days: readonly { from: string; to: string }[]) => days.map(({ from, to }) => `${from}…${to}`)
const DAY = [{ from: '2026-02-11', to: '2026-02-12' }]

describe('reach', () => {
  test.each<[string, Expression, string[], string[]]>([
    ['an aggregate', amount, ['2026-02-11…2026-02-12'], ['2026-02-11…2026-02-12']],
    ['a rolling window', rolling(amount, 7), ['2026-02-11…2026-02-18'], ['2026-02-05…2026-02-12']],
    [
      'growth',
      growth(amount, 7),
      ['2026-02-11…2026-02-12', '2026-02-18…2026-02-19'],
      ['2026-02-04…2026-02-05', '2026-02-11…2026-02-12'],
    ],
    ['the month so far', cumulative(amount, 'month'), ['2026-02-11…2026-03-01'], ['2026-02-01…2026-02-12']],
    [
      'the quarter so far',
      cumulative(amount, 'quarter'),
      ['2026-02-11…2026-04-01'],
      ['2026-01-01…2026-02-12'],
    ],
    ['the year so far', cumulative(amount, 'year'), ['2026-02-11…2027-01-01'], ['2026-01-01…2026-02-12']],
    ['the week so far', cumulative(amount, 'week'), ['2026-02-11…2026-02-16'], ['2026-02-09…2026-02-12']],
    [
      'growth of a rolling window',
      growth(rolling(amount, 3), 7),
      ['2026-02-11…2026-02-14', '2026-02-18…2026-02-21'],
      ['2026-02-02…2026-02-05', '2026-02-09…2026-02-12'],
    ],
    [
      'a window over months so far',
      rolling(cumulative(amount, 'month'), 2),
      ['2026-02-11…2026-03-02'],
      ['2026-02-01…2026-02-12'],
    ],
    ['constants', { type: 'constant', value: 1 }, [], []],
    [
      'the widest of several',
      { type: 'arithmetic', op: 'add', of: [amount, rolling(amount, 2)] },
      ['2026-02-11…2026-02-13'],
      ['2026-02-10…2026-02-12'],
    ],
  ])('of %s', (_, expression, spread, needs) => {
    expect(show(reachOf(expression).spread(DAY))).toEqual(spread)
    expect(show(reachOf(expression).needs(DAY))).toEqual(needs)
  })

  test('days are joined, and stay within the calendar', () => {
    expect(
      show(
        unionOfDays([
          { from: '2026-02-03', to: '2026-02-04' },
          { from: '2026-02-01', to: '2026-02-03' },
        ]),
      ),
    ).toEqual(['2026-02-01…2026-02-04'])
    expect(
      show(reachOf(cumulative(amount, 'year')).spread([{ from: '9999-01-01', to: '9999-12-31' }])),
    ).toEqual(['9999-01-01…9999-12-31'])
  })
})

test('references are named with their paths', () => {
  const expression: Expression = {
    type: 'ratio',
    of: {
      type: 'filter',
      of: { ...amount, by: 'sales.rank' },
      where: { op: 'all', of: [{ op: 'present', series: 'sales.kind' }] },
    },
    by: {
      type: 'fallback',
      of: { type: 'metric', metric: 'other' },
      otherwise: { type: 'constant', value: 1 },
    },
    onZero: 'missing',
    times: 1,
  }
  expect(referencesOf(expression)).toEqual({
    series: [
      { code: 'sales.kind', path: 'expression.of.where.of[0].series' },
      { code: 'sales.amount', path: 'expression.of.of.series' },
      { code: 'sales.rank', path: 'expression.of.of.by' },
    ],
    metrics: [{ code: 'other', path: 'expression.by.of.metric' }],
  })
})
