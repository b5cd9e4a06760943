import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ProductProcess } from '@aduana/testkit/processes'
import type { TestSystem } from '@aduana/testkit/system'

/** Processes of one installation that are started one after the other. Each fails at its own fail point. */
export interface Victims {
  /**
   * Starts the next process, or one that does not fail without a `failPoint`. It works normally until `arm` is called. `%` in
   * a fail point stands for the number of the import of the current round, in scenarios that begin with an import.
   */
  next(failPoint?: string): Promise<ProductProcess>
  /** Arms the newest process: it fails when it reaches its fail point. */
  arm(): Promise<void>
}

/** Returns the victims of a system. Their fail points have the action `action`, such as `kill`. */
export function openVictims(
  system: TestSystem,
  action: string,
  start: (settings: Record<string, string>) => Promise<ProductProcess>,
): Victims {
  let processes = 0
  const trigger = () => join(system.dataDir, `armed-${processes}`)
  return {
    next: (failPoint) => {
      processes += 1
      if (failPoint === undefined) return start({})
      // The import before the first round has number 1.
      const point = failPoint.replace('%', String(processes + 1))
      return start({ ADUANA_FAIL_POINTS: `${point}=${action}?${trigger()}` })
    },
    arm: () => writeFile(trigger(), ''),
  }
}

/** Runs `work` and adds the fail point to the message of an error. */
export async function atFailPoint(failPoint: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw new Error(`${failPoint}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

/** Splits a list into groups of at most `max` items and similar sizes. */
export function inGroups<T>(all: readonly T[], max: number): T[][] {
  const groups = Math.ceil(all.length / max)
  return Array.from({ length: groups }, (_, group) => all.filter((__, index) => index % groups === group))
}
