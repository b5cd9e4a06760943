/** Random numbers that are the same for the same seed, on every machine. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** A whole number in [0, limit). */
  below(limit: number): number
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T
  /** True in this share of the cases. */
  chance(share: number): boolean
}

/** A generator with 128 bits of state (sfc32), started from any whole number. */
export function createRandom(seed: number): Random {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, (seed ^ 0xdeadbeef) | 0, Math.floor(seed / 2 ** 32) | 0]
  const step = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  // Near seeds begin alike; a few steps part them.
  for (let i = 0; i < 20; i++) step()
  const next = () => step() / 2 ** 32
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    next,
    below,
    pick: (list) => {
      const found = list[below(list.length)]
      if (found === undefined) throw new Error('cannot pick from an empty list')
      return found
    },
    chance: (share) => next() < share,
  }
}

const SPACE = 100_000_000
// Prime, and so without a common divisor with the space: every index gets another number.
const STRIDE = 61_803_399

/** A number in [0, 100 million) that no other index below 100 million gets; neighbours lie far apart. */
export function scattered(index: number): number {
  // The product stays below 2^53.
  return (index * STRIDE + 27_182_818) % SPACE
}
