import type { Tx } from '@aduana/db/database'
import { interruptible } from '@aduana/db/interruptible'
import { commitStage } from '@aduana/jobs/stage-attempts/stage-attempts'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { fetchArtifact, registerArtifacts } from '../stage-artifacts.ts'
import { type LoadOutput, ParseOutput, readOutput, ValidateOutput } from '../stage-outputs.ts'
import { withBeforeImage } from './before-image.ts'
import { surrogates } from './copy-rows.ts'
import { alreadyImported, loadWarnings, repeatedRows, resultWithWarnings } from './existing-rows.ts'
import { inFencedTransaction, markLoaded } from './fenced.ts'
import { planFreshPartitions, withFreshPartitions } from './fresh-partitions.ts'
import { holdLease } from './hold-lease.ts'
import { replacedDays, windowsOf } from './plan.ts'
import { ApprovalLapsedError, checkApproval } from './preview/approval.ts'
import { dryRun } from './preview/dry-run.ts'
import { recordUpdate } from './record-update.ts'
import { undo } from './undo/stage.ts'
import { claimOrPark } from './windows.ts'
import { type Publishing, type Written, writeRows } from './write-rows.ts'

/**
 * The load stage: waits for its window, resolves the surrogate ids, and publishes the clean rows in one fenced
 * transaction together with the ledger, the dataset update and the state of the job.
 */
export const load: Stage = { name: 'load', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, stageAttempt } = job
  if (facts.type === 'undo') return undo(job)
  const parsed = await readOutput(context.db, stageAttempt.jobId, 'parse', ParseOutput)
  const validated = await readOutput(context.db, stageAttempt.jobId, 'validate', ValidateOutput)
  const windows = windowsOf(facts, validated)
  const plan = { windows, validated, replaced: replacedDays(job, windows, validated) }
  if (facts.dryRun) return dryRun(job, plan)
  if (!(await claimOrPark(job, windows))) {
    await failPoint('load.after-park', String(facts.importNo))
    return { kind: 'park', reason: 'waits for its window' }
  }
  await failPoint('load.after-claim', String(facts.importNo))

  const held = await holdLease(job)
  if (!held) return { kind: 'snooze', milliseconds: 2000, reason: 'another process holds the lease' }
  const leased = { ...job, signal: held.signal }
  try {
    const repeated = await repeatedRows(leased, validated)
    if (repeated) return { kind: 'fail', failure: alreadyImported(repeated) }
    const clean = await fetchArtifact(leased, 'clean.parquet')
    const gate = await checkApproval(leased, clean, plan)
    if (gate.kind === 'park') return gate
    const source = { clean, members: await surrogates(leased, clean), lastRecord: parsed.records }
    await failPoint('load.after-members', String(facts.importNo))
    const meter = { copied: 0, total: validated.clean }
    const { replaced } = plan
    const fresh = await planFreshPartitions(leased, validated, replaced)
    await withBeforeImage(leased, replaced, (image) =>
      withFreshPartitions(leased, fresh, source, meter, async () =>
        publish(leased, {
          lease: held.lease,
          plan,
          source,
          fresh,
          image: await image,
          meter,
          ...(gate.confirm ? { confirm: gate.confirm } : {}),
        }),
      ),
    )
    return { kind: 'committed' }
  } catch (error) {
    if (error instanceof ApprovalLapsedError)
      return { kind: 'snooze', milliseconds: 100, reason: 'what was approved has changed' }
    throw error
  } finally {
    await held.release()
  }
}

/**
 * Publishes the rows in one transaction. It begins by locking the job's lock rows, if this process still holds the
 * lease, and ends with the guarded change of the job's row: a stage attempt that was overtaken or cancelled in between
 * rolls everything back.
 * @throws OvertakenError, CancelledError
 */
async function publish(job: StageJob, publishing: Publishing): Promise<void> {
  await failPoint('load.before-transaction', String(job.facts.importNo))
  await inFencedTransaction(job, publishing.lease, async (tx, client) => {
    const written = await interruptible(client, { ...job.context, signal: job.signal }, () =>
      writeRows(job, client, publishing),
    )
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
