import { createRandom } from './random.ts'

/** True in the long tests, which run every variant. `npm test` runs a sample. */
export const LONG = process.env.ADUANA_TESTS_LONG === '1'

/** The seed of the samples: `ADUANA_TESTS_SEED`, or 1. */
const SEED = Number(process.env.ADUANA_TESTS_SEED || 1)

/** Returns `count` of the variants in their order, chosen by the seed; all of them in the long tests. */
export function sample<T>(all: readonly T[], count: number): T[] {
  if (LONG) return [...all]
  const chosen = new Set(shuffled(all.map((_, index) => index)).slice(0, count))
  return all.filter((_, index) => chosen.has(index))
}

/** Returns half of the variants, rounded up, chosen by the seed; all of them in the long tests. */
export function sampleHalf<T>(all: readonly T[]): T[] {
  return sample(all, Math.ceil(all.length / 2))
}

/**
 * Returns pairs of variants, chosen by the seed, so that each variant occurs. In the long tests returns all pairs, also of
 * each variant with itself.
 */
export function samplePairs<T>(all: readonly T[]): (readonly [T, T])[] {
  if (LONG) return all.flatMap((first, index) => all.slice(index).map((second) => [first, second] as const))
  const order = shuffled(all)
  return order.flatMap((first, index) => {
    const second = order[(index + 1) % order.length]
    return index % 2 === 1 || second === undefined ? [] : [[first, second] as const]
  })
}

function shuffled<T>(all: readonly T[]): T[] {
  const random = createRandom(SEED)
  return all
    .map((one) => ({ one, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ one }) => one)
}
