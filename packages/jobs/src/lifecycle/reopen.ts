import { STAGE_NAMES, type StageName, stageIndex } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'

/**
 * Marks a stage and those after it as not done, because the artifacts of the stage are no longer available. The next
 * attempt begins with it.
 */
export async function reopenStages(tx: Tx, jobId: string, from: StageName): Promise<void> {
  await tx
    .updateTable('stage_results')
    .set({ state: 'discarded' })
    .where('job_id', '=', jobId)
    .where('stage', 'in', STAGE_NAMES.slice(stageIndex(from)))
    .where('state', '=', 'done')
    .execute()
}
