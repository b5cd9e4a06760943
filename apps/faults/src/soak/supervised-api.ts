import { setTimeout as delay } from 'node:timers/promises'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'

/** A supervised API: a process that ends is replaced. */
export interface SupervisedApi {
  /** Sends a request to the current API. Undefined when none runs, or it ended before it responded. */
  request(path: string, init?: RequestInit): Promise<Response | undefined>
  /** Kills the current API. */
  kill(): void
  /** All processes that were started, in order. */
  processes(): readonly ProductProcess[]
  /** The errors of failed starts: their connections may be terminated before the login. */
  failedStarts(): readonly string[]
  stop(): Promise<void>
}

const RESTART_MS = 500

/** Keeps an API of an installation running. Resolves when the first process is ready. */
export async function startSupervisedApi(system: TestSystem): Promise<SupervisedApi> {
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
  const supervise = async (first: TestApi) => {
    let api: TestApi | undefined = first
    while (!stopped) {
      await api?.process.exited
      current = undefined
      if (stopped) return
      await delay(RESTART_MS)
      api = await start().catch((error: unknown) => void failedStarts.push(String(error)))
    }
  }
  const supervising = supervise(await start())
  return {
    request: async (path, init) => {
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
      await supervising
    },
  }
}
