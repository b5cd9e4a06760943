import type { Stage, StageJob, StageResult } from '../stage.ts'
import { readOutput, ValidateOutput } from '../stage-outputs.ts'
import { holdLease } from './hold-lease.ts'
import { ensurePartitions } from './partitions.ts'
import { prepareFile } from './prepare-file.ts'
import { publish } from './publish.ts'
import { claimOrPark, windowsOf } from './windows.ts'

/**
 * Load: waits for its window, prepares a sorted file with surrogate ids, and publishes it in one fenced transaction
 * together with the ledger, the dataset update and the state of the job.
 */
export const load: Stage = { name: 'load', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, run } = job
  const validated = await readOutput(context.db, run.jobId, 'validate', ValidateOutput)
  const windows = windowsOf(facts, validated)
  if (!(await claimOrPark(job, windows))) return { kind: 'park', reason: 'waits for its window' }

  const held = await holdLease(job)
  if (!held) return { kind: 'snooze', milliseconds: 2000, reason: 'another process holds the lease' }
  try {
    await ensurePartitions(context.pool, facts.definition, validated)
    const file = await prepareFile({ ...job, signal: held.signal }, validated)
    await publish({ ...job, signal: held.signal }, { lease: held.lease, windows, file, validated })
    return { kind: 'committed' }
  } finally {
    held.stop()
  }
}
