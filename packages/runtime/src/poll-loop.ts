/** A loop that polls until it is stopped. */
export interface PollLoop {
  /** Starts the next poll now, or as soon as the current one ends. */
  wake(): void
  /** Stops, and resolves when the current poll has ended. */
  stop(): Promise<void>
}

/**
 * Starts a loop that polls at once, on every `wake`, and `intervalMs` after the last poll. With `atStart: false`, the first
 * poll is not at once either. An error of a poll goes to `onError` and does not end the loop.
 */
export function startPollLoop(options: {
  intervalMs: number
  atStart?: boolean
  poll: (stopping: () => boolean) => Promise<void>
  onError: (error: unknown) => void
}): PollLoop {
  const { intervalMs, atStart = true, poll, onError } = options
  let stopped = false
  let woken = atStart
  let endPause: () => void = () => undefined
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, intervalMs)
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const running = (async () => {
    for (;;) {
      if (!woken && !stopped) await pause()
      if (stopped) return
      woken = false
      try {
        await poll(() => stopped)
      } catch (error) {
        onError(error)
      }
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
