import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { asFields } from '@aduana/contracts/send-again'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import { failPoint } from '@aduana/runtime/fail-points'
import type { StageJob, StageResult } from '../../stage.ts'
import { fetchArtifact } from '../../stage-artifacts.ts'
import type { DryRunOutput } from '../../stage-outputs.ts'
import { type Repeated, repeatedBytes, repeatedRows } from '../existing-rows.ts'
import type { LoadPlan } from '../plan.ts'
import { approvalReasons, describeChanges } from './approval.ts'
import { computePreview } from './compute.ts'
import { savePreviewFile, storePreview, withSummary } from './stored-preview.ts'

/**
 * Performs the load stage of a dry run: computes and stores the preview, and changes nothing else. Claims no window, so
 * it neither waits nor blocks others.
 * @throws RefusedError if the load would be refused
 */
export async function dryRun(job: StageJob, plan: LoadPlan): Promise<StageResult> {
  const { facts, stageAttempt } = job
  const clean = await fetchArtifact(job, 'clean.parquet')
  const computed = await computePreview(job, clean, plan)
  const reasons = approvalReasons(
    computed.preview,
    facts.definition.approval,
    facts.definition.code,
    plan.validated.warnings,
  )
  const kept = await savePreviewFile(job, computed, reasons)
  const repeated = await repeatedFile(job, plan)
  const { totals, rows } = kept.preview
  // Counted as the load itself would: a replace removes all old rows and inserts all new ones.
  const figures =
    facts.mode === 'upsert'
      ? { inserted: totals.inserted, updated: totals.changed, unchanged: totals.unchanged, removed: 0 }
      : {
          inserted: plan.validated.clean,
          updated: 0,
          unchanged: 0,
          removed: facts.mode === 'replace-window' ? rows.before : 0,
        }
  return {
    kind: 'done',
    commit: async (tx): Promise<DryRunOutput> => {
      await storePreview(tx, job, kept)
      await changeJob(
        tx,
        { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt, from: ['PROCESSING'] },
        {
          ...figures,
          loaded: figures.inserted + figures.updated,
          ...withSummary(job, kept, repeated && wouldBeRefused(repeated, plan)),
        },
      )
      await failPoint('preview.before-commit', String(facts.importNo))
      const asks = reasons.length > 0 ? ' The import would require an approval.' : ''
      const forced = repeated ? `With ${asFields({ force: 'true' })}, the import` : 'The import'
      return {
        wouldDo: `${forced} would ${describeChanges(kept.preview)}.${asks}`,
        ...(repeated ? { refused: 'already_imported' } : {}),
      }
    },
  }
}

/** Returns what the import repeats: the bytes of a file, for which it would be refused at once, or the rows of an append. */
async function repeatedFile(job: StageJob, { validated }: LoadPlan): Promise<Repeated | undefined> {
  return (await repeatedBytes(job)) ?? (await repeatedRows(job, validated))
}

function wouldBeRefused({ found, remedy }: Repeated, { validated }: LoadPlan): ImportWarning {
  return importWarning(
    'already_imported',
    `The import would be refused (already_imported). ${found} ${remedy}`,
    {
      count: validated.clean,
    },
  )
}
