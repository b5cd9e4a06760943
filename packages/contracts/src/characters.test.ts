import { describe, expect, test } from 'vitest'
import { CHARACTERS, cleanCode, showInvisible } from './characters.ts'

const POINTS = Array.from({ length: 0x110000 }, (_, point) => point).filter(
  (point) => point < 0xd800 || point > 0xdfff,
)
const PREPENDED = /[\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u{110BD}\u{110CD}]/u
const member = (name: keyof typeof CHARACTERS) => new RegExp(`[${CHARACTERS[name].js}]`, 'u')

describe('the lists of characters', () => {
  test('are those of Unicode: invisible characters, and every kind of space', () => {
    const ignorable = member('ignorable')
    const blanks = member('blanks')
    for (const point of POINTS) {
      const character = String.fromCodePoint(point)
      const unseen = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/u.test(character) && !PREPENDED.test(character)
      const space = /[\p{Z}]/u.test(character) && character !== ' '
      if (ignorable.test(character) !== unseen || blanks.test(character) !== space)
        expect([point.toString(16), ignorable.test(character), blanks.test(character)]).toEqual([
          point.toString(16),
          unseen,
          space,
        ])
    }
  })

  test('contain everything that cleaning may change beyond U+00FF', () => {
    const unsettled = member('unsettled')
    const ignorable = member('ignorable')
    const blanks = member('blanks')
    const settled = POINTS.filter((point) => !unsettled.test(String.fromCodePoint(point)))
    for (const point of settled) {
      const character = String.fromCodePoint(point)
      const changes =
        character.normalize('NFC') !== character ||
        /\p{M}/u.test(character) ||
        (point >= 0x1100 && point <= 0x11ff) ||
        (point > 0xff && (ignorable.test(character) || blanks.test(character)))
      if (changes) expect(`U+${point.toString(16)} may change`).toBe('')
    }
    expect(settled.length).toBeGreaterThan(100_000)
  })
})

test('a code loses invisible characters and surrounding spaces', () => {
  expect(cleanCode('\uFEFFQ\u200B11\u00AD\u2060 ')).toBe('Q11')
  expect(cleanCode('\u3000A\u202FB\u00A0\n')).toBe('A B')
  expect(cleanCode('N\u0303andu\u0301')).toBe('Ñandú')
  expect(cleanCode('N\u200B\u0303')).toBe('Ñ')
  expect(cleanCode('\u200E2026-01-31\u200F')).toBe('2026-01-31')
})

test('invisible characters are written out, and nothing else', () => {
  expect(showInvisible('Q11\u200B')).toBe('Q11<U+200B>')
  expect(showInvisible('\uFEFFa\u00A0b\u{E0041}\0')).toBe('<U+FEFF>a<U+00A0>b<U+E0041><U+0000>')
  expect(showInvisible('ñandú — 東京 😀\n\tx y')).toBe('ñandú — 東京 😀\n\tx y')
})
