import { ProblemError } from '@aduana/contracts/problems'

const WINDOW_MS = 15 * 60_000
const MAX_KEYS = 20_000

/** Counts failed logins. */
export interface LoginThrottle {
  /** Count an attempt that begins. @throws ProblemError `too_many_logins` when there were too many before it */
  attempt(email: string, address: string): void
  /** The attempt was good: forget those before it. */
  succeeded(email: string, address: string): void
}

/**
 * Slow down guessing: so many attempts for one account from one address, and so many from one address for all accounts,
 * within a quarter of an hour. An attempt counts from its beginning, so that many at once do not slip through.
 */
export function createLoginThrottle(limits = { account: 8, address: 60 }): LoginThrottle {
  const attempts = new Map<string, { count: number; until: number }>()
  const counted = (key: string) => {
    const now = Date.now()
    if (attempts.size >= MAX_KEYS)
      for (const [old, { until }] of attempts) if (until <= now) attempts.delete(old)
    const known = attempts.get(key)
    const entry = known && known.until > now ? known : { count: 0, until: now + WINDOW_MS }
    entry.count += 1
    attempts.set(key, entry)
    return entry
  }
  const accountKey = (email: string, address: string) => `${email.toLowerCase()} ${address}`
  return {
    attempt: (email, address) => {
      const account = counted(accountKey(email, address))
      const all = counted(address)
      const full = account.count > limits.account ? account : all.count > limits.address ? all : undefined
      if (full)
        throw new ProblemError('too_many_logins', 'Too many logins failed. Wait before you try again.', {
          retryAfterSeconds: Math.ceil((full.until - Date.now()) / 1000),
        })
    },
    succeeded: (email, address) => {
      attempts.delete(accountKey(email, address))
    },
  }
}
