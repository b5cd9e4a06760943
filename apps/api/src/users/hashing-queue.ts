import { ProblemError } from '@aduana/contracts/problems'

/** Limits of one process. */
export interface HashingQueueLimits {
  /** Maximum number of concurrent hashes. */
  concurrency: number
  /** Maximum number of waiting attempts. */
  waiting: number
}

/** Queues work that hashes a password. Resolves with its result. @throws ProblemError `logins_busy` when too many wait */
export type HashingQueue = <T>(network: string, work: () => Promise<T>) => Promise<T>

interface Waiter {
  begin(): void
  refuse(): void
}

// Node has four threads for hashes and files: two stay free for uploads.
const LIMITS: HashingQueueLimits = { concurrency: 2, waiting: 100 }
const RETRY_AFTER_SECONDS = 5

/**
 * Bounds the cost of hashing passwords in a process: few hashes at once, and a bounded queue of those that wait. Networks
 * take turns. When the queue is full, the network with the most waiting attempts loses one. So a network that floods
 * does not delay others.
 */
export function createHashingQueue(limits: HashingQueueLimits = LIMITS): HashingQueue {
  const queues = new Map<string, Waiter[]>()
  let running = 0
  let waiting = 0

  const beginNext = () => {
    const [next] = queues
    if (!next || running >= limits.concurrency) return
    const [network, queue] = next
    const waiter = queue.shift()
    queues.delete(network)
    if (queue.length > 0) queues.set(network, queue)
    waiting -= 1
    running += 1
    waiter?.begin()
  }
  const enqueue = (network: string, waiter: Waiter) => {
    const queue = queues.get(network) ?? []
    if (waiting >= limits.waiting) {
      const longest = longestQueue(queues)
      if (!longest || longest.length <= queue.length) return waiter.refuse()
      longest.pop()?.refuse()
      waiting -= 1
    }
    queue.push(waiter)
    queues.set(network, queue)
    waiting += 1
    beginNext()
  }
  return async (network, work) => {
    await new Promise<void>((resolve, reject) =>
      enqueue(network, { begin: resolve, refuse: () => reject(busy()) }),
    )
    try {
      return await work()
    } finally {
      running -= 1
      beginNext()
    }
  }
}

function longestQueue(queues: ReadonlyMap<string, Waiter[]>): Waiter[] | undefined {
  let longest: Waiter[] | undefined
  for (const queue of queues.values()) if (!longest || queue.length > longest.length) longest = queue
  return longest
}

function busy(): ProblemError {
  return new ProblemError('logins_busy', 'Too many logins are in progress. Try again in a moment.', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })
}
