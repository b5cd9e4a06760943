import { setTimeout as delay } from 'node:timers/promises'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'

/** Workers under a supervisor: one that ends is replaced. */
export interface Fleet {
  /** Those that are alive now, in the order of their places. */
  workers(): ProductProcess[]
  /** Start no more, and let those that stand still go on. */
  dismiss(): Promise<void>
}

const RESTART_MS = 500

/** Keep `size` workers of an installation running. Resolves when all have been ready once. */
export async function startFleet(
  system: TestSystem,
  size: number,
  settings: Record<string, string> = {},
): Promise<Fleet> {
  const places = new Map<number, ProductProcess>()
  let dismissed = false
  const keep = async (place: number): Promise<void> => {
    while (!dismissed) {
      const seen = system.processes().length
      try {
        // A worker may be hit before it is ready, or may not reach a service that is away; the next one tries again.
        const worker = await system.startWorker(settings)
        places.set(place, worker)
        await worker.exited
      } catch (error) {
        if (system.processes().length === seen) throw error
      }
      places.delete(place)
      if (!dismissed) await delay(RESTART_MS)
    }
  }
  const keeping = Array.from({ length: size }, (_, place) => keep(place))
  while (places.size < size) await Promise.race([delay(20), ...keeping])
  return {
    workers: () => [...places.entries()].sort(([a], [b]) => a - b).map(([, worker]) => worker),
    dismiss: async () => {
      dismissed = true
      for (const process of system.processes()) process.signal('SIGCONT')
      await Promise.all(system.processes().map((process) => process.stop()))
      await Promise.all(keeping)
    },
  }
}
