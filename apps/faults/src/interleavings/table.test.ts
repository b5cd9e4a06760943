import { expect, test } from 'vitest'
import { COMBINATIONS, TRANSACTIONS } from '../testing/interleavings/jobs/transactions.ts'
import { METRIC_COMBINATIONS, METRIC_TRANSACTIONS } from '../testing/interleavings/metrics/transactions.ts'
import { functionsThatOpenTransactions, OPENS_TRANSACTION } from '../testing/interleavings/product.ts'

test('every function of the product that opens a transaction is in the table', () => {
  const found = functionsThatOpenTransactions(['jobs', 'pipeline', 'metrics', 'outbox', 'datasets'])
  expect(found).toEqual(Object.keys(OPENS_TRANSACTION).sort())
})

test.each([
  ['jobs', COMBINATIONS, TRANSACTIONS],
  ['runs', METRIC_COMBINATIONS, METRIC_TRANSACTIONS],
])('every transaction of %s is combined with others in a world', (_, combinations, transactions) => {
  const combined = new Set(Object.values<readonly string[]>(combinations).flat())
  expect([...combined].sort()).toEqual(Object.keys(transactions).sort())
})
