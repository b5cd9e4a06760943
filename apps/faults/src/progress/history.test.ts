import { expect, test } from 'vitest'
import { createProgressHistory } from './history.ts'

test('increasing numbers and progress break no promise', () => {
  const history = createProgressHistory('test')
  history.snapshot('a', { seq: 3, progress: 1 })
  history.message('a', { seq: 4, progress: 1 })
  history.message('b', { seq: 1, progress: 0 })
  history.snapshot('a', { seq: 4, progress: 1 })
  history.snapshot('a', { progress: 2 })
  history.message('a', { seq: 9, progress: 100 })
  expect(history.broken).toEqual([])
  expect(history.last('a')).toEqual({ seq: 9, progress: 100 })
  expect(history.count()).toBe(6)
})

test.each([
  [
    'a repeated number',
    [
      { seq: 5, progress: 2 },
      { seq: 5, progress: 2 },
    ],
    /number 5 of job a came after 5/,
  ],
  [
    'a lower number',
    [
      { seq: 5, progress: 2 },
      { seq: 4, progress: 2 },
    ],
    /number 4 of job a came after 5/,
  ],
  [
    'lower progress',
    [
      { seq: 5, progress: 94 },
      { seq: 6, progress: 58 },
    ],
    /went back from 94 to 58/,
  ],
])('%s is reported', (_what, messages, expected) => {
  const history = createProgressHistory('test')
  for (const report of messages) history.message('a', report)
  expect(history.broken).toEqual([expect.stringMatching(expected)])
})

test('a snapshot that is older than a message is reported', () => {
  const history = createProgressHistory('test')
  history.message('a', { seq: 5, progress: 50 })
  history.snapshot('a', { seq: 4, progress: 50 })
  history.snapshot('a', { progress: 40 })
  expect(history.broken).toHaveLength(2)
})
