import { Worker } from 'node:worker_threads'

/** What the thread is told. */
export interface WatchdogData {
  /** One 32-bit number that the main thread raises every second. */
  fed: SharedArrayBuffer
  /** So many seconds without being fed end the process. */
  patienceSeconds: number
  name: string
}

export interface Watchdog {
  stop(): Promise<void>
}

/**
 * A thread that ends the process with SIGKILL when the event loop has not turned for `patienceSeconds`: such a process
 * can do nothing about itself any more, and its supervisor starts it again. A process that was frozen as a whole is not
 * blamed for that, because the thread has not counted then either.
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
