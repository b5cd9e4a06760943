import type { Counts } from '@aduana/contracts/counts'
import { counted, figure } from '@aduana/contracts/figures'
import { completeJob } from '@aduana/jobs/lifecycle/finish'
import { publishResults } from '@aduana/metrics/results/publish'
import { fanOutUpdate as passOn } from '@aduana/metrics/updates/fan-out'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { DryRunOutput, LoadOutput, readOutput, UndoOutput } from '../stage-outputs.ts'
import { readCounts } from './counts.ts'

/**
 * The fan-out stage: passes the recorded dataset update on to the metrics, publishes loaded results as values of their
 * metric, and completes the import.
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
        ? `Undone: ${counted(undone.deleted, 'row')} deleted, ${figure(undone.restored)} restored`
        : `Loaded ${counted(counts.loaded ?? 0, 'row')}; ${figure(counts.quarantined ?? 0)} quarantined, ${counted(counts.duplicates ?? 0, 'duplicate')}${conflicting(counts)}${published === undefined ? '' : `. ${published}`}`
      await completeJob(tx, { jobId: run.jobId, attempt: run.attempt }, counts, message)
      return {}
    },
  }
}

function conflicting({ conflicts }: Counts): string {
  return conflicts ? `, ${counted(conflicts, 'conflict')}` : ''
}

/** Completes a dry run. It changed nothing, so there is nothing to pass on. */
async function endDryRun({ context, run }: StageJob): Promise<StageResult> {
  const { wouldDo, refused } = await readOutput(context.db, run.jobId, 'load', DryRunOutput)
  return {
    kind: 'done',
    commit: async (tx) => {
      const counts = await readCounts(tx, run.jobId)
      const begin = refused
        ? `Dry run: the import would be refused (${refused}). Nothing was changed.`
        : 'Dry run: nothing was changed.'
      const parted = [
        counted(counts.quarantined ?? 0, 'reject'),
        counted(counts.duplicates ?? 0, 'duplicate'),
      ]
      const message = `${begin} ${wouldDo} The file has ${parted.join(', ')}${conflicting(counts)}.`
      await completeJob(tx, { jobId: run.jobId, attempt: run.attempt }, counts, message)
      return {}
    },
  }
}
