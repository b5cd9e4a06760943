import { ProblemError } from '@aduana/contracts/problems'

/** Limits of one process. */
export interface PasswordLineLimits {
  /** Passwords that are hashed at once. */
  atOnce: number
  /** How many may wait. */
  waiting: number
}

/** Runs work that hashes a password when its turn comes. @throws ProblemError `logins_busy` when too many wait */
export type PasswordLine = <T>(network: string, work: () => Promise<T>) => Promise<T>

interface Waiter {
  begin(): void
  refuse(): void
}

// Node has four threads for this and for all files: two of them stay free for uploads.
const LIMITS: PasswordLineLimits = { atOnce: 2, waiting: 100 }
const RETRY_AFTER_SECONDS = 5

/**
 * Bounds the cost of hashing passwords in a process: few hashes at once, and a bounded queue of those that wait. Networks
 * take turns, and when the queue is full, the network with the most waiting attempts loses one. So a network that floods
 * does not delay others.
 */
export function createPasswordLine(limits: PasswordLineLimits = LIMITS): PasswordLine {
  const lines = new Map<string, Waiter[]>()
  let running = 0
  let waiting = 0

  const beginNext = () => {
    const [next] = lines
    if (!next || running >= limits.atOnce) return
    const [network, line] = next
    const waiter = line.shift()
    lines.delete(network)
    if (line.length > 0) lines.set(network, line)
    waiting -= 1
    running += 1
    waiter?.begin()
  }
  const join = (network: string, waiter: Waiter) => {
    const line = lines.get(network) ?? []
    if (waiting >= limits.waiting) {
      const longest = longestOf(lines)
      if (!longest || longest.length <= line.length) return waiter.refuse()
      longest.pop()?.refuse()
      waiting -= 1
    }
    line.push(waiter)
    lines.set(network, line)
    waiting += 1
    beginNext()
  }
  return async (network, work) => {
    await new Promise<void>((resolve, reject) =>
      join(network, { begin: resolve, refuse: () => reject(busy()) }),
    )
    try {
      return await work()
    } finally {
      running -= 1
      beginNext()
    }
  }
}

function longestOf(lines: ReadonlyMap<string, Waiter[]>): Waiter[] | undefined {
  let longest: Waiter[] | undefined
  for (const line of lines.values()) if (!longest || line.length > longest.length) longest = line
  return longest
}

function busy(): ProblemError {
  return new ProblemError('logins_busy', 'Too many passwords are being checked. Try again in a moment.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })
}
