/** A condition did not come true in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError'
}

export interface UntilOptions {
  /** Milliseconds; 30 s unless said. */
  within?: number
  /** What is waited for, for the message. */
  what: string
}

/**
 * Poll `look` until it answers something other than undefined or false, and answer that.
 * @throws DeadlineError
 */
export async function until<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T> {
  const deadline = Date.now() + (options.within ?? 30_000)
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline)
      throw new DeadlineError(`${options.what}: not within ${options.within ?? 30_000} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
