/** A loop that polls until it is stopped. */
export interface PollLoop {
  /** Starts the next poll now, or as soon as the current one ends. */
  wake(): void
  /** Stops, and resolves when the current poll has ended. */
  stop(): Promise<void>
}

/**
 * Starts a loop that polls at once, on every `wake`, and `intervalMs` after the last poll. An error of a poll goes to
 * `onError` and does not end the loop.
 */
export function startPollLoop(options: {
  intervalMs: number
  poll: (stopping: () => boolean) => Promise<void>
  onError: (error: unknown) => void
}): PollLoop {
  let stopped = false
  let woken = true
  let endPause: () => void = () => undefined
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.intervalMs)
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const running = (async () => {
    while (!stopped) {
      woken = false
      try {
        await options.poll(() => stopped)
      } catch (error) {
        options.onError(error)
      }
      if (!woken && !stopped) await pause()
    }
  })()
  return {
    wake: () => {
      woken = true
      endPause()
    },
    stop: async () => {
      stopped = true
      endPause()
      await running
    },
  }
}
