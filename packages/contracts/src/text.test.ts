import { expect, test } from 'vitest'
import { StorableText, unstorableParts } from './text.ts'

test.each(['', 'ñ 😀 \u2028 \u{10FFFF} \uFFFF', '\u0001\u007f'])('%j can be stored', (text) => {
  expect(StorableText.safeParse(text).success).toBe(true)
})

test.each(['\0', 'a\0b', '\ud800', 'x\udfff', '\udc00\ud800'])('%j cannot be stored', (text) => {
  expect(StorableText.safeParse(text).success).toBe(false)
})

test('every text that cannot be stored is reported by its path, in order', () => {
  const value = { title: { en: 'a\0', es: 'b' }, columns: [1, null, { name: '\ud800' }], 'x\0': true }
  expect(unstorableParts(value)).toEqual(['title.en', 'columns[2].name', 'x\0'])
  expect(unstorableParts('\0')).toEqual([''])
  expect(unstorableParts({ fine: ['a', 1.5, false, null, {}] })).toEqual([])
})

test('a value can be nested as deeply as a body, and contain any number of such texts', () => {
  const depth = 200_000
  expect(unstorableParts(JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`))).toEqual([])
  const [path] = unstorableParts(JSON.parse(`${'['.repeat(depth)}"\\u0000"${']'.repeat(depth)}`))
  expect(path).toBe(`${'[0]'.repeat(50)}…`)
  expect(unstorableParts(Array(1000).fill('\0'))).toHaveLength(20)
})
