import type { StageName } from '@aduana/contracts/stages'

/** One observation of a stage that this worker serves. */
export interface StageObservation {
  stage: StageName
  /** False once the loop that takes jobs has ended. */
  looping: boolean
  slots: number
  /** Slots in use here. */
  used: number
  /** Of these, slots whose stage attempt has a recent heartbeat. */
  alive: number
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

export interface StuckStage {
  stage: StageName
  fault: Fault
  /** Seconds for which the fault has been observed without interruption. */
  seconds: number
  waiting: number
}

export interface StuckDetector {
  /** Evaluates new observations. Returns the current faults; empty when there are none. */
  observe(observations: readonly StageObservation[]): StuckStage[]
  /** Discards all earlier observations, after one that failed. */
  reset(): void
}

/**
 * Creates a detector of stages whose jobs a worker does not take. `intervalMs` is the usual time between observations; `now`
 * returns monotonic milliseconds. The time between two observations counts as at most twice `intervalMs`, because a process
 * that was frozen has observed nothing.
 */
export function createStuckDetector(intervalMs: number, now: () => number): StuckDetector {
  const evidence = new Map<StageName, { fault: Fault; milliseconds: number }>()
  const taken = new Map<StageName, number>()
  let observedAt: number | undefined
  return {
    observe: (observations) => {
      const at = now()
      const passed = observedAt === undefined ? 0 : Math.min(at - observedAt, 2 * intervalMs)
      observedAt = at
      return observations.flatMap((observation): StuckStage[] => {
        const { stage, waiting } = observation
        const moved = taken.get(stage) !== observation.taken
        taken.set(stage, observation.taken)
        const fault = faultOf(observation, moved)
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
    reset: () => {
      evidence.clear()
      observedAt = undefined
    },
  }
}

function faultOf(observation: StageObservation, moved: boolean): Fault | undefined {
  if (!observation.looping) return 'loop_ended'
  if (moved || observation.waiting === 0 || observation.held !== null) return undefined
  if (observation.used < observation.slots) return 'not_taking'
  return observation.alive === 0 ? 'slots_stuck' : undefined
}
