import type { JobFailure } from '@aduana/contracts/failures'
import type { StageName } from '@aduana/contracts/stages'

/** A job whose workers died more often than this in the same stage, in a row, is given up: it probably kills them. */
export const LOSSES_ALLOWED = 4

/** Why a job is given up whose workers die. */
export function workerLost(stage: StageName, reason: string): JobFailure {
  return {
    code: 'worker_lost',
    detail: `The work on the stage ${stage} was lost too often: ${reason}. Nothing was loaded. The file may need more memory than a worker has.`,
    stage,
  }
}
