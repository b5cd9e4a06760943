import { expect, test } from 'vitest'
import { z } from 'zod'
import { CursorColumn, decodeCursor, encodeCursor } from './cursor.ts'

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

test.each<[keyof typeof CursorColumn, unknown[], unknown[]]>([
  [
    'moment',
    ['2024-01-01T00:00:00.123456Z', '0001-01-01T00:00:00.000000Z', '9999-12-31T23:59:59.999999Z'],
    [
      '2024-01-01T00:00:00Z',
      '0000-01-01T00:00:00.000000Z',
      '2024-01-01T00:00:00.123456+23:00',
      'infinity',
      7,
    ],
  ],
  ['day', ['2024-02-29', '9999-12-31'], ['0000-01-01', '2023-02-29', 'epoch', 7]],
  ['uuid', ['5e0b6c0e-3d4c-4f5e-8a40-6a1f7d0b5a11'], ['5e0b6c0e', '', null]],
  ['integer', [0, 2 ** 31 - 1], [2 ** 31, 1.5, '1', null]],
  ['bigint', ['0', '9223372036854775807'], ['9223372036854775808', '-1', '1e3', '', 7]],
  ['text', ['', 'ñ'], ['\0', '\ud800', 7]],
])('a cursor takes of a column of type %s only what PostgreSQL reads', (type, good, bad) => {
  const taken = [...good, ...bad].filter((value) => CursorColumn[type].safeParse(value).success)
  expect(taken).toEqual(good)
})
