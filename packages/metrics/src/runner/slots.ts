/** Room for so many things at once. */
export interface Slots {
  /** How many are free, and nobody waits for. */
  free(): number
  /** Do `work` once there is room for it, in the order of asking. */
  use<T>(work: () => Promise<T>): Promise<T>
  /** Resolves when nothing is at work any more. */
  idle(): Promise<void>
}

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
