import { Expression } from '@aduana/contracts/metrics/expression'
import { expect, test } from 'vitest'
import { rollUpOf } from './roll-up.ts'

const rows = { type: 'aggregate', op: 'count', series: 'orders.rows' }
const items = { type: 'aggregate', op: 'sum', series: 'orders.items_count' }
const mean = { ...items, op: 'avg' }
const constant = (value: number) => ({ type: 'constant', value })
const arithmetic = (op: string, ...of: object[]) => ({ type: 'arithmetic', op, of })
const EXPRESSIONS: Record<string, object> = { items, mean, again: { type: 'metric', metric: 'items' } }

test.each([
  ['sum', rows],
  ['sum', items],
  ['max', { ...items, op: 'max' }],
  ['first', { ...items, op: 'first' }],
  [null, mean],
  [null, { ...items, op: 'distinct' }],
  [null, { ...items, op: 'percentile', percentile: 0.5 }],
  ['sum', { type: 'metric', metric: 'again' }],
  [null, { type: 'metric', metric: 'mean' }],
  [null, { type: 'metric', metric: 'unknown' }],
  ['sum', arithmetic('subtract', items, rows)],
  [null, arithmetic('add', items, mean)],
  // A constant is added once for each day.
  [null, arithmetic('add', items, constant(1))],
  ['sum', arithmetic('multiply', items, constant(2), constant(3))],
  [null, arithmetic('multiply', items, rows)],
  [null, arithmetic('multiply', constant(2), constant(3))],
  ['sum', { type: 'ratio', of: items, by: constant(100) }],
  [null, { type: 'ratio', of: items, by: rows }],
  ['sum', { type: 'filter', of: items, where: { op: 'present', series: 'orders.customer' } }],
  ['sum', { type: 'fallback', of: items, otherwise: constant(0) }],
  [null, { type: 'fallback', of: items, otherwise: constant(1) }],
  ['last', { type: 'rolling', op: 'sum', of: items, days: 7 }],
  ['last', { type: 'cumulative', op: 'sum', of: items, reset: 'month' }],
  [null, { type: 'growth', of: items, days: 7 }],
])('%s makes one value of the days of %j', (rollUp, expression) => {
  const parsed = Expression.parse(expression)
  const definitionOf = (code: string) => {
    const expression = EXPRESSIONS[code]
    return expression && { expression: Expression.parse(expression) }
  }
  expect(rollUpOf(parsed, definitionOf)).toBe(rollUp)
})
