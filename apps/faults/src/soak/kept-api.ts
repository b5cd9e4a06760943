import { setTimeout as delay } from 'node:timers/promises'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'

/** An API under a supervisor: one that ends is replaced. */
export interface KeptApi {
  /** Send a request to the API that runs now. Undefined when none runs, or it ended before it answered. */
  ask(path: string, init?: RequestInit): Promise<Response | undefined>
  /** Kill the one that runs now. */
  kill(): void
  /** All that were started, in order. */
  processes(): readonly ProductProcess[]
  /** Why a start failed: its connections may be terminated before its login is done. */
  failedStarts(): readonly string[]
  stop(): Promise<void>
}

const RESTART_MS = 500

/** Keep an API of an installation running. Resolves when the first one is ready. */
export async function keepApi(system: TestSystem): Promise<KeptApi> {
  const processes: ProductProcess[] = []
  const failedStarts: string[] = []
  let current: TestApi | undefined
  let stopped = false
  const start = async () => {
    const api = await startApi(system)
    processes.push(api.process)
    current = api
    return api
  }
  const keep = async (first: TestApi) => {
    let api: TestApi | undefined = first
    while (!stopped) {
      await api?.process.exited
      current = undefined
      if (stopped) return
      await delay(RESTART_MS)
      api = await start().catch((error: unknown) => void failedStarts.push(String(error)))
    }
  }
  const keeping = keep(await start())
  return {
    ask: async (path, init) => {
      try {
        return await current?.fetch(path, init)
      } catch {
        return undefined
      }
    },
    kill: () => current?.process.signal('SIGKILL'),
    processes: () => processes,
    failedStarts: () => failedStarts,
    stop: async () => {
      stopped = true
      await Promise.all(processes.map((process) => process.stop()))
      await keeping
    },
  }
}
