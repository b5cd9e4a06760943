/** A condition was not met in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
}

export interface UntilOptions {
  /** Milliseconds; 30 s by default. */
  within?: number
  /** The condition, for the error message. */
  what: string
}

const SHORTEST_PAUSE_MS = 20
const MAX_PAUSE_MS = 250

/**
 * Polls `look` until it returns something other than undefined or false, and returns that. The interval grows with the
 * waiting time, because many tests poll at once and must not slow down the services.
 * @throws DeadlineError
 */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const { within = 30_000, what } = options
  const began = performance.now()
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    const waited = performance.now() - began
    if (waited > within) throw new DeadlineError(`${what}: not within ${within} ms`)
    const pause = Math.min(MAX_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, waited / 10))
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
