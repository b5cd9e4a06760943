import type { MetricJobPayload } from '@aduana/contracts/metrics/queue'

/** What became of attempts that this process has worked off, until their jobs come. */
export interface Outcomes {
  remember(attempt: MetricJobPayload, state: string): void
  /** The state in which an attempt was left, if that is remembered; it is forgotten then. */
  take(attempt: MetricJobPayload): string | undefined
}

/** Jobs may come to another process, so the oldest outcomes are forgotten. */
const MAX_OUTCOMES = 10_000

/** Remember outcomes. */
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
