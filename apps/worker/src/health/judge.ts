import type { StageName } from '@aduana/contracts/stages'

/** What can be seen of one stage that this worker serves. */
export interface StageSight {
  stage: StageName
  /** False once the loop that takes jobs has ended. */
  looping: boolean
  slots: number
  /** Slots in use here. */
  used: number
  /** Of these, slots in which a run shows signs of life. */
  living: number
  /** Deliveries taken since the start. */
  taken: number
  /** Jobs that could be taken. */
  waiting: number
  /** Why nobody is to take them, which is no fault of a worker. */
  held: 'paused' | 'limited' | null
}

export type Fault =
  /** The loop that takes jobs has ended. */
  | 'loop_ended'
  /** Jobs wait, a slot is free, and nothing is taken. */
  | 'not_taking'
  /** Jobs wait, and all slots are used by runs that show no sign of life. */
  | 'slots_stuck'

export interface Verdict {
  stage: StageName
  fault: Fault
  /** For how long it has looked so without a break. */
  seconds: number
  waiting: number
}

export interface Judge {
  /** What looks wrong now, after one more look; empty when all is well. */
  see(sights: readonly StageSight[]): Verdict[]
  /** Nothing could be seen: what was seen before is no evidence any more. */
  blind(): void
}

/**
 * Judges by effect whether a worker takes jobs. `now` is monotonic, in milliseconds. What passes between two looks
 * counts at most twice the usual pace: a process that was frozen has not looked.
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
