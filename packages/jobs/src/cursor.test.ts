import { expect, test } from 'vitest'
import { z } from 'zod'
import { decodeCursor, encodeCursor } from './cursor.ts'

const Position = z.tuple([z.string(), z.int()])

test.each([
  ['2024-01-01 00:00:00.123456+00', 7],
  ['ñ "x" \n', 0],
] as const)(
  'the position %j, %j is read back from its cursor, which is safe in an address',
  (text, number) => {
    const cursor = encodeCursor([text, number])
    expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(decodeCursor(Position, cursor)).toEqual([text, number])
  },
)

test.each([
  '',
  'x',
  '!!!',
  encodeCursor([]),
  encodeCursor(['a']),
  encodeCursor([1, 'a']),
  encodeCursor(['a', 1, 2]),
])('the text "%s" is refused as a bad request', (text) => {
  expect(() => decodeCursor(Position, text)).toThrow(
    expect.objectContaining({ name: 'ProblemError', code: 'bad_request' }),
  )
})
