import { expect, test } from 'vitest'
import { MEETINGS, TRANSACTIONS } from '../testing/interleavings/jobs/transactions.ts'
import { METRIC_MEETINGS, METRIC_TRANSACTIONS } from '../testing/interleavings/metrics/transactions.ts'
import { functionsThatOpenTransactions, OPENS_TRANSACTION } from '../testing/interleavings/product.ts'

test('every function of the product that opens a transaction is in the table', () => {
  const found = functionsThatOpenTransactions(['jobs', 'pipeline', 'metrics', 'outbox', 'datasets'])
  expect(found).toEqual(Object.keys(OPENS_TRANSACTION).sort())
})

test.each([
  ['jobs', MEETINGS, TRANSACTIONS],
  ['runs', METRIC_MEETINGS, METRIC_TRANSACTIONS],
])('every transaction of the table of %s meets others in some world', (_, meetings, transactions) => {
  const met = new Set(Object.values<readonly string[]>(meetings).flat())
  expect([...met].sort()).toEqual(Object.keys(transactions).sort())
})
