import type { Counts } from '@aduana/contracts/counts'
import { completeJob } from '@aduana/jobs/finish'
import { publishResults } from '@aduana/metrics/results/publish'
import { fanOut as passOn } from '@aduana/metrics/updates/fan-out'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { DryRunOutput, LoadOutput, readOutput, UndoOutput } from '../stage-outputs.ts'
import { readCounts } from './counts.ts'

/**
 * Fan-out: the dataset update that the load has recorded is passed on to the metrics, loaded results become the values of
 * their metric, and the import is complete.
 */
export const fanOut: Stage = { name: 'fan-out', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, run } = job
  if (facts.dryRun) return endDryRun(job)
  const undone =
    facts.type === 'undo' ? await readOutput(context.db, run.jobId, 'load', UndoOutput) : undefined
  const loaded = undone ?? (await readOutput(context.db, run.jobId, 'load', LoadOutput))
  return {
    kind: 'done',
    commit: async (tx, client) => {
      const published = facts.manifest ? await publishResults(tx, client, run.jobId) : undefined
      await passOn(tx, loaded.updateId)
      const counts = await readCounts(tx, run.jobId)
      const message = undone
        ? `Undone: ${undone.deleted} rows deleted, ${undone.restored} as they were before`
        : `Loaded ${counts.loaded ?? 0} rows; ${counts.quarantined ?? 0} quarantined, ${counts.duplicates ?? 0} duplicates${conflicting(counts)}${published === undefined ? '' : `. ${published}`}`
      await completeJob(tx, { jobId: run.jobId, attempt: run.attempt }, counts, message)
      return {}
    },
  }
}

function conflicting({ conflicts }: Counts): string {
  return conflicts ? `, ${conflicts} conflicts` : ''
}

/** A dry run has changed nothing, so there is nothing to pass on. */
async function endDryRun({ context, run }: StageJob): Promise<StageResult> {
  const { wouldDo } = await readOutput(context.db, run.jobId, 'load', DryRunOutput)
  return {
    kind: 'done',
    commit: async (tx) => {
      const counts = await readCounts(tx, run.jobId)
      const message = `Dry run: nothing was changed. ${wouldDo} ${counts.quarantined ?? 0} records are rejected, ${counts.duplicates ?? 0} are duplicates${conflicting(counts)}.`
      await completeJob(tx, { jobId: run.jobId, attempt: run.attempt }, counts, message)
      return {}
    },
  }
}
