/** A seeded generator of pseudo-random numbers. */
export interface Random {
  /** Returns x with 0 ≤ x < 1. */
  next(): number
  /** Returns an integer from 0 to `limit` − 1. */
  below(limit: number): number
  /** Returns an integer from `from` to `to`, inclusive. */
  int(from: number, to: number): number
  chance(probability: number): boolean
  /** @throws Error when the list is empty */
  pick<T>(list: readonly T[]): T
}

/** Returns the generator mulberry32 with a seed. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    next,
    below,
    int: (from, to) => from + below(to - from + 1),
    chance: (probability) => next() < probability,
    pick: (list) => {
      const item = list[below(list.length)]
      if (item === undefined) throw new Error('cannot pick from an empty list')
      return item
    },
  }
}
