import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { asFields } from '@aduana/contracts/send-again'
import { changeJob } from '@aduana/jobs/transitions'
import { failPoint } from '@aduana/runtime/fail-points'
import type { StageJob, StageResult } from '../../stage.ts'
import { fetchFile } from '../../stage-files.ts'
import type { DryRunOutput } from '../../stage-outputs.ts'
import { type Repeated, repeatedBytes, repeatedRows } from '../repeated-rows.ts'
import { approvalReasons, describeChanges } from './approval.ts'
import type { LoadPlan } from './basis.ts'
import { computePreview } from './compute.ts'
import { keepPreview, storePreview, withSummary } from './store.ts'

/**
 * The load of a dry run: it computes what it would do and leaves that behind, and changes nothing else. It takes no
 * window, so it keeps nobody waiting and waits for nobody.
 * @throws RefusedError when the load would be refused
 */
export async function dryRun(job: StageJob, plan: LoadPlan): Promise<StageResult> {
  const { facts, run } = job
  const clean = await fetchFile(job, 'clean.parquet')
  const computed = await computePreview(job, clean, plan)
  const reasons = approvalReasons(
    computed.preview,
    facts.definition.approval,
    facts.definition.code,
    plan.validated.warnings,
  )
  const kept = await keepPreview(job, computed, reasons)
  const repeated = await repeatedFile(job, plan)
  const { totals, rows } = kept.preview
  // As the load itself would count: a replace removes all old rows and inserts all new ones.
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
        { jobId: run.jobId, attempt: run.attempt, from: ['PROCESSING'] },
        {
          ...figures,
          loaded: figures.inserted + figures.updated,
          ...withSummary(job, kept, repeated && wouldBeRefused(repeated, plan)),
        },
      )
      await failPoint('preview.before-commit', String(facts.importNo))
      const asks = reasons.length > 0 ? ' It would need an approval.' : ''
      const forced = repeated ? `With ${asFields({ force: 'true' })} it` : 'It'
      return {
        wouldDo: `${forced} would ${describeChanges(kept.preview)}.${asks}`,
        ...(repeated ? { refused: 'already_imported' } : {}),
      }
    },
  }
}

/** What the import repeats: the bytes of its file, which it would be refused for at once, or the rows of an append. */
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
