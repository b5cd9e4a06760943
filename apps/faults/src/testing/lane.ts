import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'

/** Processes of one installation that follow each other, each of which fails at a place of its own. */
export interface Lane {
  /**
   * Start the next one, or one that does not fail. It works like any other until it is told to fail. `%` in a place stands
   * for the number of the import of its turn, in stories that begin with one.
   */
  next(place?: string): Promise<ProductProcess>
  /** From now on the newest one fails when it passes its place. */
  fail(): Promise<void>
}

/** A lane of a system, whose processes fail by an action of fail points, such as `kill`. */
export function openLane(
  system: TestSystem,
  action: string,
  start: (settings: Record<string, string>) => Promise<ProductProcess>,
): Lane {
  let processes = 0
  const hour = () => join(system.dataDir, `hour-${processes}`)
  return {
    next: (place) => {
      processes += 1
      if (place === undefined) return start({})
      // The import before the first turn has number 1.
      const own = place.replace('%', String(processes + 1))
      return start({ ADUANA_FAIL_POINTS: `${own}=${action}?${hour()}` })
    },
    fail: () => writeFile(hour(), ''),
  }
}

/** Do something at a place, and say of a failure where it was. */
export async function atPlace(place: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw new Error(`${place}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** Lists of at most so many, as equal as can be. */
export function inLanes<T>(all: readonly T[], most: number): T[][] {
  const lanes = Math.ceil(all.length / most)
  return Array.from({ length: lanes }, (_, lane) => all.filter((__, index) => index % lanes === lane))
}
