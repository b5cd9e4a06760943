import { setTimeout as delay } from 'node:timers/promises'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'

/** Supervised workers: one that ends is replaced. */
export interface Fleet {
  /** The workers that are alive, in the order of their slots. */
  workers(): ProductProcess[]
  /** Resumes frozen workers and stops all of them. */
  stop(): Promise<void>
}

const RESTART_MS = 500

/** Keeps `size` workers of an installation running. Resolves when all have been ready once. */
export async function startFleet(
  system: TestSystem,
  size: number,
  settings: Record<string, string> = {},
): Promise<Fleet> {
  const places = new Map<number, ProductProcess>()
  let stopped = false
  const keep = async (place: number): Promise<void> => {
    while (!stopped) {
      const seen = system.processes().length
      try {
        // A worker may fail before it is ready, or may not reach a service that is down. The next one tries again.
        const worker = await system.startWorker(settings)
        places.set(place, worker)
        await worker.exited
      } catch (error) {
        if (system.processes().length === seen) throw error
      }
      places.delete(place)
      if (!stopped) await delay(RESTART_MS)
    }
  }
  const keeping = Array.from({ length: size }, (_, place) => keep(place))
  while (places.size < size) await Promise.race([delay(20), ...keeping])
  return {
    workers: () => [...places.entries()].sort(([a], [b]) => a - b).map(([, worker]) => worker),
    stop: async () => {
      stopped = true
      for (const process of system.processes()) process.signal('SIGCONT')
      await Promise.all(system.processes().map((process) => process.stop()))
      await Promise.all(keeping)
    },
  }
}
