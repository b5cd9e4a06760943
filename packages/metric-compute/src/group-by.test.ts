import { expect, test } from 'vitest'
import { groupBy } from './group-by.ts'

test('items are grouped by their key, in their order', () => {
  const groups = groupBy(['b1', 'a1', 'b2', 'a2', 'b3'], (item) => item[0])
  expect([...groups]).toEqual([
    ['b', ['b1', 'b2', 'b3']],
    ['a', ['a1', 'a2']],
  ])
})
