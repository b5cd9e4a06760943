/** A limit on concurrent work. */
export interface Slots {
  /** Returns the number of free slots. */
  free(): number
  /** Runs `work` when a slot is free, in the order of the calls. */
  use<T>(work: () => Promise<T>): Promise<T>
  /** Resolves when no work is running. */
  idle(): Promise<void>
}

/** Returns a limit of `count` concurrent pieces of work. */
export function createSlots(count: number): Slots {
  const waiting: (() => void)[] = []
  const idlers: (() => void)[] = []
  let used = 0
  const leave = () => {
    const next = waiting.shift()
    if (next) return next()
    used -= 1
    if (used === 0) for (const idler of idlers.splice(0)) idler()
  }
  return {
    free: () => count - used,
    use: async (work) => {
      if (used < count) used += 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await work()
      } finally {
        leave()
      }
    },
    idle: () => (used === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  }
}
