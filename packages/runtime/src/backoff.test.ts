import { expect, test } from 'vitest'
import { backoff } from './backoff.ts'

test('a pause doubles with each failure, up to the longest', () => {
  const pauses = [1, 2, 3, 4, 5].map((failures) => backoff(failures, { first: 100, longest: 500 }))
  expect(pauses).toEqual([100, 200, 400, 500, 500])
  expect(backoff(10_000, { first: 100, longest: 500 })).toBe(500)
})
