import { Counts } from '@aduana/contracts/counts'
import { counted, figure } from '@aduana/contracts/figures'
import type { Tx } from '@aduana/db/database'
import { completeJob } from '@aduana/jobs/lifecycle/finish'
import { publishResults } from '@aduana/metrics/results/publish'
import { fanOutUpdate as passOn } from '@aduana/metrics/updates/fan-out'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { DryRunOutput, LoadOutput, readOutput, UndoOutput } from '../stage-outputs.ts'

/**
 * The fan-out stage: passes the recorded dataset update on to the metrics, publishes loaded results as values of their
 * metric, and completes the import.
 */
export const fanOut: Stage = { name: 'fan-out', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, stageAttempt } = job
  if (facts.dryRun) return endDryRun(job)
  const undone =
    facts.type === 'undo' ? await readOutput(context.db, stageAttempt.jobId, 'load', UndoOutput) : undefined
  const loaded = undone ?? (await readOutput(context.db, stageAttempt.jobId, 'load', LoadOutput))
  return {
    kind: 'done',
    commit: async (tx, client) => {
      const published = facts.manifest ? await publishResults(tx, client, stageAttempt.jobId) : undefined
      await passOn(tx, loaded.updateId)
      const counts = await readCounts(tx, stageAttempt.jobId)
      const message = undone
        ? `Undone: ${counted(undone.deleted, 'row')} deleted, ${figure(undone.restored)} restored`
        : `Loaded ${counted(counts.loaded ?? 0, 'row')}; ${figure(counts.quarantined ?? 0)} quarantined, ${counted(counts.duplicates ?? 0, 'duplicate')}${conflicting(counts)}${published === undefined ? '' : `. ${published}`}`
      await completeJob(tx, { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt }, counts, message)
      return {}
    },
  }
}

function conflicting({ conflicts }: Counts): string {
  return conflicts ? `, ${counted(conflicts, 'conflict')}` : ''
}

/** Completes a dry run. It changed nothing, so there is nothing to pass on. */
async function endDryRun({ context, stageAttempt }: StageJob): Promise<StageResult> {
  const { wouldDo, refused } = await readOutput(context.db, stageAttempt.jobId, 'load', DryRunOutput)
  return {
    kind: 'done',
    commit: async (tx) => {
      const counts = await readCounts(tx, stageAttempt.jobId)
      const begin = refused
        ? `Dry run: the import would be refused (${refused}). Nothing was changed.`
        : 'Dry run: nothing was changed.'
      const parted = [
        counted(counts.quarantined ?? 0, 'reject'),
        counted(counts.duplicates ?? 0, 'duplicate'),
      ]
      const message = `${begin} ${wouldDo} The file has ${parted.join(', ')}${conflicting(counts)}.`
      await completeJob(tx, { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt }, counts, message)
      return {}
    },
  }
}

const NAMES = [
  'records',
  'loaded',
  'inserted',
  'updated',
  'unchanged',
  'removed',
  'quarantined',
  'duplicates',
  'conflicts',
] as const

/** Returns the current counts of a job. */
async function readCounts(tx: Tx, jobId: string): Promise<Counts> {
  const row = await tx
    .selectFrom('jobs')
    .select([...NAMES])
    .where('id', '=', jobId)
    .executeTakeFirstOrThrow()
  return Counts.parse(
    Object.fromEntries(NAMES.map((name) => [name, row[name] === null ? null : Number(row[name])])),
  )
}
