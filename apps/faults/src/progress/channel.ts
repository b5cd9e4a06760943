import { ProgressUpdate } from '@aduana/contracts/progress'
import type { TestSystem } from '@aduana/testkit/system'
import { createProgressHistory } from './history.ts'

/** Listens to the progress that the workers of an installation publish. */
export interface ProgressWatch {
  /** Returns every decrease of progress so far. */
  broken(): string[]
  /** Number of messages received. */
  messages(): number
  close(): void
}

/**
 * Listens to the channel in Redis. Messages of different workers may overtake each other there, which is why they are
 * numbered: in the order of their numbers the progress of a job never decreases, and no number is repeated.
 */
export async function watchChannel(system: TestSystem): Promise<ProgressWatch> {
  const { redis, prefix } = system.redis
  const subscriber = redis.duplicate()
  const updates: ProgressUpdate[] = []
  subscriber.on('message', (_channel, text) => {
    updates.push(ProgressUpdate.parse(JSON.parse(text)))
  })
  await subscriber.subscribe(`${prefix}:progress`)
  return {
    broken: () => {
      const history = createProgressHistory('Redis')
      for (const { jobId, seq, progress } of updates.toSorted((one, other) => one.seq - other.seq))
        history.message(jobId, { seq, progress })
      return [...history.broken]
    },
    messages: () => updates.length,
    close: () => subscriber.disconnect(),
  }
}
