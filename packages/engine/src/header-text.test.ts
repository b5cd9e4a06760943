import { expect, test } from 'vitest'
import { headerText } from './header-text.ts'

const headerOf = (text: string, line: number, next: number) =>
  headerText(Buffer.from(text), { line, next }, 'utf-8')

test.each([
  ['a line', 'a;b\n1;2\n', 1, 4, 'a;b'],
  ['a line after others', 'title\r\n\r\n"a";b \r\n1;2\r\n', 3, 17, '"a";b '],
  ['a line after lone returns', 't\ra;b\r1;2\r', 2, 6, 'a;b'],
  ['a row of two lines', '"a\nb";c\n1;2\n', 1, 8, '"a\nb";c'],
  ['the only line', 'a;b', 1, 3, 'a;b'],
  ['a line after a BOM', '\uFEFFa;b\n', 1, 7, 'a;b'],
])('the header is the exact text of %s', (_what, text, line, next, header) => {
  expect(headerOf(text, line, next)).toEqual({ text: header, truncated: false })
})

test('a header beyond 64 kB is truncated and marked so', () => {
  const long = 'ñ'.repeat(40_000)
  const { text, truncated } = headerOf(`${long};b\n1;2\n`, 1, 80_003)
  expect(truncated).toBe(true)
  expect(text).toBe('ñ'.repeat(32_768))
})

test('the header is decoded in the encoding of the whole file', () => {
  const bytes = Buffer.from('a\xf1o;b\n', 'latin1')
  expect(headerText(bytes, { line: 1, next: bytes.length }, 'windows-1252').text).toBe('año;b')
})
