import { expect, test } from 'vitest'
import { openAccount } from './account.ts'

test('what goes forward is in order', () => {
  const account = openAccount('test')
  account.asked('a', { seq: 3, progress: 1 })
  account.news('a', { seq: 4, progress: 1 })
  account.news('b', { seq: 1, progress: 0 })
  account.asked('a', { seq: 4, progress: 1 })
  account.asked('a', { progress: 2 })
  account.news('a', { seq: 9, progress: 100 })
  expect(account.broken).toEqual([])
  expect(account.last('a')).toEqual({ seq: 9, progress: 100 })
  expect(account.count()).toBe(6)
})

test.each([
  [
    'a number that comes again',
    [
      { seq: 5, progress: 2 },
      { seq: 5, progress: 2 },
    ],
    /number 5 of job a came after 5/,
  ],
  [
    'a number that falls',
    [
      { seq: 5, progress: 2 },
      { seq: 4, progress: 2 },
    ],
    /number 4 of job a came after 5/,
  ],
  [
    'progress that falls',
    [
      { seq: 5, progress: 94 },
      { seq: 6, progress: 58 },
    ],
    /went back from 94 to 58/,
  ],
])('%s is told', (_what, messages, expected) => {
  const account = openAccount('test')
  for (const told of messages) account.news('a', told)
  expect(account.broken).toEqual([expect.stringMatching(expected)])
})

test('a state that was asked for and is behind is told', () => {
  const account = openAccount('test')
  account.news('a', { seq: 5, progress: 50 })
  account.asked('a', { seq: 4, progress: 50 })
  account.asked('a', { progress: 40 })
  expect(account.broken).toHaveLength(2)
})
