/** Work that is done again and again, one round at a time. */
export interface PollLoop {
  /** Begin the next round now, or as soon as the present one is over. */
  wake(): void
  /** Stop after the present round. */
  stop(): Promise<void>
}

/** Do `round` at once, whenever woken and `everyMs` after the last one. A round that fails does not end it. */
export function startPollLoop(options: {
  intervalMs: number
  poll: (stopping: () => boolean) => Promise<void>
  onError: (error: unknown) => void
}): PollLoop {
  let stopped = false
  let wanted = true
  let end: () => void = () => undefined
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, options.intervalMs)
      end = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const running = (async () => {
    while (!stopped) {
      wanted = false
      try {
        await options.poll(() => stopped)
      } catch (error) {
        options.onError(error)
      }
      if (!wanted && !stopped) await pause()
    }
  })()
  return {
    wake: () => {
      wanted = true
      end()
    },
    stop: async () => {
      stopped = true
      end()
      await running
    },
  }
}
