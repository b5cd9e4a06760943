import type { ApprovalRule } from '@aduana/contracts/dataset-definition'
import { counted, figure } from '@aduana/contracts/figures'
import type { ImportWarning, ImportWarningCode } from '@aduana/contracts/import-warnings'
import type { ApprovalReason, LoadPreview } from '@aduana/contracts/load-preview'
import { inTransaction, type Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { OvertakenError, tryChangeJob } from '@aduana/jobs/lifecycle/transitions'
import { closeAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import { releaseWindows } from '@aduana/jobs/windows/windows'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { CancelledError } from '../../failure.ts'
import type { StageJob } from '../../stage.ts'
import type { LoadPlan } from '../plan.ts'
import { computePreview } from './compute.ts'
import {
  type Asked,
  changedSince,
  readAsked,
  readBasis,
  type SavedPreview,
  savePreviewFile,
  storePreview,
  withSummary,
} from './stored-preview.ts'

/** `confirm` runs in the load's transaction after its rows; it throws if what was approved no longer holds. */
export type ApprovalGate =
  | { kind: 'pass'; confirm?: (tx: Tx) => Promise<void> }
  | { kind: 'park'; reason: string }

/** What was approved changed during the load. The load rolls back, and the gate requests another approval. */
export class ApprovalLapsedError extends Error {
  override readonly name = 'ApprovalLapsedError'
}

/**
 * Decides whether a load may continue, under its window lock. A load that needs an approval waits for it in PostgreSQL,
 * without a worker and without its windows. After the wait, only what was approved continues.
 * @throws RefusedError if the load would be refused in any case
 */
export async function checkApproval(job: StageJob, clean: string, plan: LoadPlan): Promise<ApprovalGate> {
  const { context, facts } = job
  const { approval } = facts.definition
  const earlier = await readAsked(context.db, facts.jobId)
  if (!facts.requireApproval && !approval && !earlier.asked) return { kind: 'pass' }
  if (earlier.preview?.approved) {
    const { basis: approved } = earlier.preview
    const now = await inTransaction(context.db, (tx) => readBasis(tx, job, plan))
    if (now === approved) return { kind: 'pass', confirm: (tx) => mustStillBe(tx, job, plan, approved) }
  }
  const computed = await computePreview(job, clean, plan)
  const reasons = [
    ...(facts.requireApproval ? [REQUESTED] : []),
    ...approvalReasons(computed.preview, approval, facts.definition.code, plan.validated.warnings),
  ]
  const lapsed = earlier.preview?.approved === true
  // An approval of this import was requested before: it never continues without one, whatever it would do now.
  if (lapsed || (earlier.asked && reasons.length === 0)) reasons.push(LAPSED)
  const kept = await savePreviewFile(job, computed, reasons)
  if (reasons.length > 0) await ask(job, plan, kept, earlier, lapsed)
  else await remember(job, kept)
  await failPoint('preview.after-commit', String(facts.importNo))
  return reasons.length > 0 ? { kind: 'park', reason: 'waits for approval' } : { kind: 'pass' }
}

const REQUESTED: ApprovalReason = { code: 'requested', detail: 'the uploader requested an approval' }
const LAPSED: ApprovalReason = {
  code: 'lapsed',
  detail: 'the affected rows have changed since the earlier preview',
}

async function mustStillBe(tx: Tx, job: StageJob, plan: LoadPlan, approved: string): Promise<void> {
  if ((await readBasis(tx, job, plan)) !== approved)
    throw new ApprovalLapsedError(`the approval of job ${job.facts.jobId} has lapsed`)
}

/** Requests an approval: the job releases its worker and its windows, waits, and its message states what to do. */
function ask(
  job: StageJob,
  plan: LoadPlan,
  kept: SavedPreview,
  earlier: Asked,
  lapsed: boolean,
): Promise<void> {
  const { stageAttempt, facts } = job
  return inTransaction(job.context.db, async (tx) => {
    const others =
      lapsed && earlier.preview ? await changedSince(tx, job, plan, earlier.preview.createdAt) : []
    const message = `${lapsed ? `The approval has lapsed, because ${changedBy(others)}. ` : ''}Waiting for approval: ${kept.needsApproval.map(({ detail }) => detail).join('; ')}. The import would ${describeChanges(kept.preview)}. Review the preview, then approve or cancel the job.`
    const version = await tryChangeJob(
      tx,
      {
        jobId: stageAttempt.jobId,
        attempt: stageAttempt.attempt,
        from: ['PROCESSING'],
        unlessCancelled: true,
      },
      {
        waiting_for: 'approval',
        approval_asked_at: sql<Date>`coalesce(approval_asked_at, clock_timestamp())`,
        message,
        eta_seconds: null,
        ...withSummary(job, kept),
      },
    )
    if (version === undefined) throw await whyNot(tx, job)
    await closeAttempt(tx, stageAttempt, 'parked', null)
    await storePreview(tx, job, kept)
    await releaseWindows(tx, stageAttempt.jobId)
    if (lapsed && earlier.preview)
      await appendEvent(tx, {
        key: `${stageAttempt.jobId}:approval-lapsed:${version}`,
        jobId: stageAttempt.jobId,
        datasetId: facts.datasetId,
        event: { type: 'job.approval-lapsed', basis: earlier.preview.basis, jobs: others },
      })
    await appendEvent(tx, {
      key: `${stageAttempt.jobId}:waiting:${version}`,
      jobId: stageAttempt.jobId,
      datasetId: facts.datasetId,
      event: { type: 'job.waiting', reason: `approval: ${codes(kept)}` },
    })
    await failPoint('preview.before-commit', String(facts.importNo))
  })
}

/** Stores the preview also of a load that needs no approval. */
function remember(job: StageJob, kept: SavedPreview): Promise<void> {
  const { stageAttempt, facts } = job
  return inTransaction(job.context.db, async (tx) => {
    const version = await tryChangeJob(
      tx,
      {
        jobId: stageAttempt.jobId,
        attempt: stageAttempt.attempt,
        from: ['PROCESSING'],
        unlessCancelled: true,
      },
      withSummary(job, kept),
    )
    if (version === undefined) throw await whyNot(tx, job)
    if (!(await isOpen(tx, job))) throw overtaken(job)
    await storePreview(tx, job, kept)
    await failPoint('preview.before-commit', String(facts.importNo))
  })
}

async function isOpen(tx: Tx, { stageAttempt }: StageJob): Promise<boolean> {
  const row = await tx
    .selectFrom('stage_results')
    .select('state')
    .where('job_id', '=', stageAttempt.jobId)
    .where('stage', '=', stageAttempt.stage)
    .where('attempt', '=', stageAttempt.attempt)
    .where('try', '=', stageAttempt.try)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row?.state === 'running'
}

async function whyNot(tx: Tx, job: StageJob): Promise<Error> {
  const { jobId, attempt } = job.stageAttempt
  const row = await tx
    .selectFrom('jobs')
    .select('cancel_requested_at')
    .where('id', '=', jobId)
    .where('attempt', '=', attempt)
    .executeTakeFirst()
  return row?.cancel_requested_at != null ? new CancelledError() : overtaken(job)
}

function overtaken({ stageAttempt }: StageJob): OvertakenError {
  return new OvertakenError(`job ${stageAttempt.jobId} was overtaken while its preview was computed`)
}

function changedBy(jobs: readonly string[]): string {
  if (jobs.length === 0) return 'the dataset was changed in the meantime'
  return `${jobs.length === 1 ? 'job' : 'jobs'} ${jobs.join(', ')} changed the dataset in the meantime`
}

function codes({ needsApproval }: SavedPreview): string {
  return needsApproval.map(({ code }) => code).join(', ')
}

const AMBIGUOUS: readonly string[] = [
  'ambiguous_decimal_mark',
  'ambiguous_day_month',
] satisfies ImportWarningCode[]

/** Returns why a load with this preview and these warnings needs an approval; an empty list if it does not. */
export function approvalReasons(
  preview: LoadPreview,
  rule: ApprovalRule | undefined,
  dataset: string,
  warnings: readonly Pick<ImportWarning, 'code' | 'column'>[] = [],
): ApprovalReason[] {
  const touched = preview.totals.changed + preview.totals.removed
  const { before } = preview.rows
  const { rows, share } = rule?.above ?? {}
  const reasons: ApprovalReason[] = []
  if (rows !== undefined && touched > rows)
    reasons.push({
      code: 'too_many_rows',
      detail: `the import changes or removes ${counted(touched, 'row')}, and ${dataset} requires an approval above ${counted(rows, 'row')}`,
    })
  if (share !== undefined && before > 0 && touched / before > share)
    reasons.push({
      code: 'too_large_share',
      detail: `the import changes or removes ${figure(touched)} of ${counted(before, 'row')} (${percent(touched / before)}), and ${dataset} requires an approval above ${percent(share)}`,
    })
  const open = rule?.ambiguous ? warnings.filter(({ code }) => AMBIGUOUS.includes(code)) : []
  if (open.length > 0)
    reasons.push({
      code: 'ambiguous',
      detail: `nothing in the file shows how to read ${open.map(({ column }) => column).join(', ')} (see the warnings), and ${dataset} requires an approval of such files`,
    })
  return reasons
}

/** Describes what a load does, in one phrase. */
export function describeChanges({ totals, alreadyPresent, sameVersion }: LoadPreview): string {
  const twice =
    alreadyPresent > 0
      ? ` (${figure(alreadyPresent)} of them ${alreadyPresent === 1 ? 'is' : 'are'} already in the table)`
      : ''
  const inDoubt = sameVersion.rows > 0 ? ` (${figure(sameVersion.rows)} of them of the same version)` : ''
  return `insert ${counted(totals.inserted, 'row')}${twice}, change ${figure(totals.changed)}${inDoubt}, leave ${figure(totals.unchanged)} unchanged and remove ${figure(totals.removed)}`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
