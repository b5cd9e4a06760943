import { isUtf8 } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { tallyUtf8 } from '../utf8.ts'
import { type Census, createCensus, DIGIT, LOWER, OTHER, UPPER } from './census.ts'

function censusOf(bytes: Buffer, sizes: readonly number[] = [bytes.length]): Census {
  const census = createCensus()
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    // Readers reuse their buffers: bytes that were added must not be needed any more.
    const chunk = Buffer.from(bytes.subarray(at, at + size))
    census.add(chunk)
    chunk.fill(0xee)
    at += size
  }
  return census.finish(true)
}

const found = ({ utf8, characters, contexts }: Census) => ({
  utf8,
  characters,
  contexts: contexts.map(({ before, byte, after, count }) => `${before} ${byte} ${after}: ${count}`).sort(),
})

describe('the census of a text', () => {
  test('counts the neighbours of each non-ASCII byte', () => {
    const { characters, contexts } = censusOf(Buffer.from('A\xf1o;A\xf1o;1\xba\xd1', 'latin1'))
    expect(characters).toBe(4)
    expect(contexts).toMatchObject([
      { before: UPPER, byte: 0xf1, after: LOWER, count: 2 },
      { before: DIGIT, byte: 0xba, count: 1 },
      { byte: 0xd1, after: OTHER, count: 1 },
    ])
    const [first] = contexts
    expect(Buffer.from(first?.sample?.bytes ?? []).toString('latin1')).toBe('A\xf1o;A\xf1o;1\xba\xd1')
    expect(first?.sample?.at).toBe(1)
  })

  test('of ASCII is empty', () => {
    expect(found(censusOf(Buffer.from('a;b\n1;2\n')))).toEqual({
      utf8: { sequences: 0, invalid: 0 },
      characters: 0,
      contexts: [],
    })
  })

  test('is the same for any chunks, also if they split a character', () => {
    const text = Buffer.from('ñ;€uro 😀 mañana ½ Ó”\n'.repeat(9))
    const mixed = Buffer.concat([
      text,
      Buffer.from('Mu\xf1oz \xe2\x82 \xff\n', 'latin1'),
      text,
      Buffer.from([0xc3]),
    ])
    for (const bytes of [text, mixed, Buffer.from([0xf1]), Buffer.from('aé')]) {
      const whole = found(censusOf(bytes))
      for (const sizes of [[1], [2], [3], [5, 1, 4], [7, 2], [40], [37, 1, 61], [100, 12]])
        expect(found(censusOf(bytes, sizes))).toEqual(whole)
      const tally = { sequences: 0, invalid: 0 }
      tallyUtf8(bytes, 0, bytes.length, true, tally)
      expect(whole.utf8).toEqual(tally)
      expect(whole.utf8.invalid === 0).toBe(isUtf8(bytes))
    }
  })
})
