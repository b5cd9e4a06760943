import type { StageName } from '@aduana/contracts/stages'

/** One observation of a stage that this worker serves. */
export interface StageSight {
  stage: StageName
  /** False once the loop that takes jobs has ended. */
  looping: boolean
  slots: number
  /** Slots in use here. */
  used: number
  /** Of these, slots whose stage attempt has a recent heartbeat. */
  living: number
  /** Deliveries taken since the start. */
  taken: number
  /** Jobs that could be taken. */
  waiting: number
  /** Why no worker may take them, which is no fault of a worker; null when they can be taken. */
  held: 'paused' | 'limited' | null
}

export type Fault =
  /** The loop that takes jobs has ended. */
  | 'loop_ended'
  /** Jobs wait, a slot is free, and nothing is taken. */
  | 'not_taking'
  /** Jobs wait, and all slots are used by stage attempts without a recent heartbeat. */
  | 'slots_stuck'

export interface Verdict {
  stage: StageName
  fault: Fault
  /** Seconds for which the fault has been observed without interruption. */
  seconds: number
  waiting: number
}

export interface Judge {
  /** Evaluates new observations. Returns the current faults; empty when there are none. */
  see(sights: readonly StageSight[]): Verdict[]
  /** Discards all earlier observations, after one that failed. */
  blind(): void
}

/**
 * Creates a judge of whether a worker takes jobs. `paceMs` is the usual time between observations; `now` returns monotonic
 * milliseconds. The time between two observations counts as at most twice `paceMs`, because a process that was frozen has
 * observed nothing.
 */
export function createJudge(paceMs: number, now: () => number): Judge {
  const evidence = new Map<StageName, { fault: Fault; milliseconds: number }>()
  const taken = new Map<StageName, number>()
  let lookedAt: number | undefined
  return {
    see: (sights) => {
      const at = now()
      const passed = lookedAt === undefined ? 0 : Math.min(at - lookedAt, 2 * paceMs)
      lookedAt = at
      return sights.flatMap((sight): Verdict[] => {
        const { stage, waiting } = sight
        const moved = taken.get(stage) !== sight.taken
        taken.set(stage, sight.taken)
        const fault = faultOf(sight, moved)
        const before = evidence.get(stage)
        if (fault === undefined) {
          evidence.delete(stage)
          return []
        }
        const milliseconds = before?.fault === fault ? before.milliseconds + passed : 0
        evidence.set(stage, { fault, milliseconds })
        return [{ stage, fault, waiting, seconds: milliseconds / 1000 }]
      })
    },
    blind: () => {
      evidence.clear()
      lookedAt = undefined
    },
  }
}

function faultOf(sight: StageSight, moved: boolean): Fault | undefined {
  if (!sight.looping) return 'loop_ended'
  if (moved || sight.waiting === 0 || sight.held !== null) return undefined
  if (sight.used < sight.slots) return 'not_taking'
  return sight.living === 0 ? 'slots_stuck' : undefined
}
