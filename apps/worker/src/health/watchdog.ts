import { Worker } from 'node:worker_threads'

/** The data of the thread. */
export interface WatchdogData {
  /** One 32-bit number that the main thread increments every second. */
  fed: SharedArrayBuffer
  /** Seconds without an increment after which the process is killed. */
  patienceSeconds: number
  name: string
}

export interface Watchdog {
  stop(): Promise<void>
}

/**
 * Starts a thread that kills the process with SIGKILL when the event loop has been blocked for `patienceSeconds`. Such a
 * process cannot recover by itself; its supervisor restarts it. A process that was frozen as a whole is not killed for that,
 * because the thread did not count either.
 */
export function startWatchdog(options: { patienceSeconds: number; name: string }): Watchdog {
  const fed = new SharedArrayBuffer(4)
  const count = new Int32Array(fed)
  const feed = setInterval(() => Atomics.add(count, 0, 1), 1000)
  const workerData: WatchdogData = { fed, ...options }
  const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), { workerData })
  thread.unref()
  return {
    stop: async () => {
      clearInterval(feed)
      await thread.terminate()
    },
  }
}
