import { expect, test } from 'vitest'
import { isAscii } from './ascii.ts'
import { lit } from './literals.ts'
import { openTestDuck } from './testing/validate.ts'

const ONLY_ASCII = [
  'M\\d{3}',
  '[A-Z0-9/_.-]{1,40}',
  '(?:[a-z]+|\\w\\s?)*',
  '(A|B)-[ -~]+',
  'https?://[\\w.\\-]+',
  'k{2}\\.\\[\\]\\(\\)',
  '[a^\\d]+$',
]
const PERHAPS_OTHERS = [
  '.*',
  '[^A-Z]+',
  '\\D',
  '\\W+',
  '\\S',
  '\\pL+',
  '\\p{Greek}',
  '\\x{F1}',
  '[\\x41-\\x{10FFFF}]',
  '[!-ÿ]+',
  'ñ',
  '(?i)[a-z]+',
  '(?i:k)',
  '[[:^alpha:]]',
  '\\377',
]

test('a pattern counts as ASCII only if it matches no other characters', async () => {
  const duck = await openTestDuck()
  try {
    await duck.rows(
      `create temp table others as select string_agg(chr(n::integer), '') as text
        from (from range(128, 55296) union all from range(57344, 1114112)) t(n)`,
    )
    const matches = (part: string) => `regexp_matches((select text from others), ${lit(part)})`
    for (const pattern of ONLY_ASCII) {
      expect([pattern, isAscii({ normalise: [], pattern })]).toEqual([pattern, true])
      const parts = pattern.match(/\\.|\[(?:\\.|[^\]])+\]|[^(){}?*+|$:]/g) ?? []
      expect(await duck.rows(`select ${parts.map(matches).join(' or ')} as matches_others`)).toEqual([
        { matches_others: false },
      ])
    }
    for (const pattern of PERHAPS_OTHERS) {
      expect([pattern, isAscii({ normalise: [], pattern })]).toEqual([pattern, false])
      expect(await duck.rows(`select ${matches(pattern)} as matches_others`)).toEqual([
        { matches_others: true },
      ])
    }
  } finally {
    await duck.close()
  }
})

test('digits alone are ASCII, whatever the cells hold', () => {
  expect(isAscii({ normalise: ['upper', 'digits-only'] })).toBe(true)
  expect(isAscii({ normalise: ['strip-accents'] })).toBe(false)
  expect(isAscii({ normalise: [] })).toBe(false)
})
