import { expect, test } from 'vitest'
import { partSize, partsInFlight, splitIntoParts } from './s3-parts.ts'

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const TIB = 1024 ** 4

const capacity = () =>
  Array.from({ length: 10_000 }, (_, part) => partSize(part)).reduce((sum, size) => sum + size)

test('10,000 parts can hold at least 5 TiB, whether the length is known or not', () => {
  expect(capacity()).toBeGreaterThan(5 * TIB)
  for (const length of [0, 1, 8 * MIB, 5 * GIB, 80 * GIB, 5 * TIB])
    expect(10_000 * partSize(0, length)).toBeGreaterThanOrEqual(length)
})

test('files up to 8 GiB, and all of known length, have parts of one size', () => {
  expect(new Set(Array.from({ length: 1000 }, (_, part) => partSize(part)))).toEqual(new Set([8 * MIB]))
  expect(partSize(9_999, 80 * GIB)).toBe(partSize(0, 80 * GIB))
})

test('the memory for parts in transit is limited, however large the parts become', () => {
  for (let part = 0; part < 10_000; part += 500) {
    const size = partSize(part)
    expect(partsInFlight(size)).toBeGreaterThanOrEqual(1)
    if (partsInFlight(size) > 1) expect(partsInFlight(size) * size).toBeLessThanOrEqual(64 * MIB)
  }
})

test.each([
  [[], 4, ['']],
  [['abcd'], 4, ['abcd']],
  [['abcde'], 4, ['abcd', 'e']],
  [['ab', 'cdefghijkl', '', 'm'], 4, ['abcd', 'efgh', 'ijkl', 'm']],
  [['abcd', 'efgh'], 4, ['abcd', 'efgh']],
])('%j is cut into parts of %i as %j', async (chunks, size, expected) => {
  const source = async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk)
  }
  const parts: string[] = []
  for await (const part of splitIntoParts(source(), () => size)) parts.push(part.toString())
  expect(parts).toEqual(expected)
})
