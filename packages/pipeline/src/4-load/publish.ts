import type { Tx } from '@aduana/db/database'
import { commitStage } from '@aduana/jobs/stage-attempts/stage-attempts'
import { failPoint } from '@aduana/runtime/fail-points'
import type { StageJob } from '../stage.ts'
import { registerArtifacts } from '../stage-artifacts.ts'
import type { LoadOutput, ValidateOutput } from '../stage-outputs.ts'
import { loadWarnings, resultWithWarnings } from './existing-rows.ts'
import { inFencedTransaction, markLoaded } from './fenced.ts'
import { interruptible } from './interruptible.ts'
import { recordUpdate } from './record-update.ts'
import { type Publishing, type Written, writeRows } from './write-rows.ts'

/**
 * Publishes the rows in one transaction. It begins by locking the job's lock rows, if this process still holds the
 * lease, and ends with the guarded change of the job's row: a stage attempt that was overtaken or cancelled in between
 * rolls everything back.
 * @throws OvertakenError, CancelledError
 */
export async function publish(job: StageJob, publishing: Publishing): Promise<void> {
  await failPoint('load.before-transaction', String(job.facts.importNo))
  await inFencedTransaction(job, publishing.lease, async (tx, client) => {
    const written = await interruptible(job, client, () => writeRows(job, client, publishing))
    await publishing.confirm?.(tx)
    const updateId = await recordUpdate(tx, job, publishing, written)
    await registerArtifacts(tx, job, written.image.file ? [written.image.file] : [])
    await failPoint('load.before-commit', String(job.facts.importNo))
    await finish(tx, job, publishing, written, updateId)
  })
  await failPoint('load.after-commit', String(job.facts.importNo))
}

async function finish(
  tx: Tx,
  job: StageJob,
  { plan }: Publishing,
  { inserted, updated, unchanged, removed, image, met }: Written,
  updateId: string,
): Promise<void> {
  const figures = { loaded: inserted + updated, inserted, updated, unchanged, removed }
  const output: LoadOutput = { ...figures, updateId, beforeRows: image.rows }
  await markLoaded(tx, job, {
    ...figures,
    quarantined: plan.validated.rejected,
    duplicates: plan.validated.duplicates,
    conflicts: plan.validated.conflicts,
    result: resultWithWarnings(
      loadWarnings(job.facts.definition, { rows: plan.validated.clean, removed }, met),
    ),
    message: 'Loaded',
  })
  await rememberRows(tx, job, plan.validated)
  await commitStage(tx, job.stageAttempt, output)
}

/** Stores the digest of the rows of an append, for `repeatedRows`. */
async function rememberRows(tx: Tx, { stageAttempt }: StageJob, { digest }: ValidateOutput): Promise<void> {
  if (digest === undefined) return
  await tx
    .updateTable('imports')
    .set({ rows_digest: digest })
    .where('job_id', '=', stageAttempt.jobId)
    .execute()
}
