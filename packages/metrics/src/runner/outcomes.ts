import type { MetricJobPayload } from '@aduana/contracts/metrics/queue'

/** The outcomes of attempts that this process has computed, until their jobs arrive. */
export interface Outcomes {
  remember(attempt: MetricJobPayload, state: string): void
  /** Returns and removes the state of an attempt; undefined when it is not stored. */
  take(attempt: MetricJobPayload): string | undefined
}

/** Jobs may arrive at another process, so the oldest outcomes are dropped. */
const MAX_OUTCOMES = 10_000

/** Returns an empty store of outcomes. */
export function createOutcomes(): Outcomes {
  const states = new Map<string, string>()
  const keyOf = ({ runId, attempt }: MetricJobPayload) => `${runId} ${attempt}`
  return {
    remember: (attempt, state) => {
      states.set(keyOf(attempt), state)
      const [oldest] = states.keys()
      if (states.size > MAX_OUTCOMES && oldest !== undefined) states.delete(oldest)
    },
    take: (attempt) => {
      const key = keyOf(attempt)
      const state = states.get(key)
      states.delete(key)
      return state
    },
  }
}
