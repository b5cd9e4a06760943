import { failPoint } from '@aduana/runtime/fail-points'
import type { Stage, StageJob, StageResult } from '../stage.ts'
import { fetchArtifact } from '../stage-artifacts.ts'
import { ParseOutput, readOutput, ValidateOutput } from '../stage-outputs.ts'
import { withBeforeImage } from './before-image.ts'
import { surrogates } from './copy-rows.ts'
import { alreadyImported, repeatedRows } from './existing-rows.ts'
import { planFreshPartitions, withFreshPartitions } from './fresh-partitions.ts'
import { holdLease } from './hold-lease.ts'
import { replacedDays, windowsOf } from './plan.ts'
import { ApprovalLapsedError, checkApproval } from './preview/approval.ts'
import { dryRun } from './preview/dry-run.ts'
import { publish } from './publish.ts'
import { undo } from './undo/stage.ts'
import { claimOrPark } from './windows.ts'

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
