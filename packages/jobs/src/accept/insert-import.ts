import type { Stored } from '@aduana/artifacts/store'
import type { LoadMode } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import type { Principal } from '@aduana/contracts/identity'
import type { ImportForm } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { asFields } from '@aduana/contracts/send-again'
import type { RegisteredDataset } from '@aduana/datasets/registry'
import { audit } from '@aduana/db/audit'
import type { Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb } from '@aduana/db/jsonb'
import { changeJob, lockOpenJob, wakeDispatchers } from '../lifecycle/transitions.ts'
import { claimWindows, type Window, waitForWindows } from '../windows/windows.ts'

/** An import to insert. It has passed all checks except for its window. */
export interface NewImport
  extends Pick<
    ImportForm,
    'force' | 'dryRun' | 'requireApproval' | 'onConflict' | 'priority' | 'startAt' | 'encoding' | 'delimiter'
  > {
  jobId: string
  dataset: RegisteredDataset
  /** The owner of the job, and the companies and warehouses that it may touch. */
  owner: Pick<Principal, 'userId' | 'tenant' | 'companies' | 'warehouses'>
  /** Name, size and digest of the file, or of the manifest that lists the files. */
  file: Stored & { name: string }
  /** Where the file is stored. */
  original?: { key: string; mediaType: string }
  /** The manifest of files that have not been downloaded yet. */
  manifest?: Readonly<Record<string, unknown>>
  expectedRecords?: number | undefined
  mode: LoadMode
  window: Window | undefined
  /** The parameters that the API shows. */
  parameters: Readonly<Record<string, unknown>>
}

/**
 * Inserts an import: its job, file, declared window, event and audit entry. Dispatchers are notified when the transaction
 * commits.
 * @throws ProblemError `window_locked`
 */
export async function insertImport(tx: Tx, entry: NewImport): Promise<void> {
  await insertJob(tx, entry)
  await insertImportRow(tx, entry)
  if (entry.original) await insertOriginal(tx, entry, entry.original)
  // A dry run changes nothing, so it needs no window.
  if (entry.window && !entry.dryRun) await reserve(tx, entry, entry.window)
  await record(tx, entry)
  await wakeDispatchers(tx)
}

async function insertJob(tx: Tx, entry: NewImport): Promise<void> {
  const { owner } = entry
  await tx
    .insertInto('jobs')
    .values({
      id: entry.jobId,
      type: 'import',
      dataset_id: entry.dataset.id,
      user_id: owner.userId,
      tenant: owner.tenant,
      companies: owner.companies,
      warehouses: owner.warehouses,
      priority: entry.priority,
      start_at: entry.startAt ?? null,
      content_sha256: entry.file.sha256,
      forced: entry.force,
      dry_run: entry.dryRun,
      message: waitingMessage(entry.startAt),
      parameters: jsonb(entry.parameters),
    })
    .execute()
}

/** Returns the message of a job that has just been accepted. */
function waitingMessage(startAt: string | undefined): string {
  if (startAt === undefined || Date.parse(startAt) <= Date.now()) return 'Waiting to be processed'
  return `Scheduled to start at ${new Date(startAt).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

async function insertImportRow(tx: Tx, entry: NewImport): Promise<void> {
  const { dataset, window } = entry
  await tx
    .insertInto('imports')
    .values({
      job_id: entry.jobId,
      dataset_id: dataset.id,
      dataset_version: dataset.version,
      mode: entry.mode,
      file_name: entry.file.name,
      bytes: entry.file.bytes,
      declared_window: window ? `[${window.from},${window.to})` : null,
      scopes: window ? [window.scope] : [],
      on_conflict: entry.onConflict,
      require_approval: entry.requireApproval,
      encoding: entry.encoding ?? null,
      delimiter: entry.delimiter ?? null,
      expected_records: entry.expectedRecords ?? null,
      manifest: entry.manifest ? jsonb(entry.manifest) : null,
    })
    .execute()
}

async function insertOriginal(
  tx: Tx,
  { jobId, file }: NewImport,
  original: { key: string; mediaType: string },
): Promise<void> {
  await tx
    .insertInto('artifacts')
    .values({
      job_id: jobId,
      name: 'original',
      key: original.key,
      media_type: original.mediaType,
      bytes: file.bytes,
      sha256: file.sha256,
      attempt: 0,
    })
    .execute()
}

async function reserve(tx: Tx, entry: NewImport, window: Window): Promise<void> {
  const job = await lockOpenJob(tx, entry.jobId)
  if (!job) throw new Error(`job ${entry.jobId} ended before it was accepted`)
  const claim = { job, datasetId: entry.dataset.id, windows: [window] }
  const result = await claimWindows(tx, claim)
  if (result.kind === 'held') return
  if (entry.onConflict === 'reject') throw windowLocked(window, result.by)
  await waitForWindows(tx, claim, result)
  await changeJob(
    tx,
    { jobId: job.id, from: ['QUEUED'] },
    { waiting_for: 'window', message: 'Waiting for the window' },
  )
}

function windowLocked({ from, to }: { from: Day | null; to: Day | null }, jobId: string): ProblemError {
  return new ProblemError(
    'window_locked',
    `The window ${from} to ${to} overlaps a window that job ${jobId} holds or waits for. Wait until that job has ended, or send ${asFields({ onConflict: 'wait' })}.`,
    { jobId },
  )
}

async function record(tx: Tx, { jobId, dataset, file, owner }: NewImport): Promise<void> {
  const { name: fileName, bytes, sha256 } = file
  await appendEvent(tx, {
    key: `${jobId}:accepted`,
    jobId,
    datasetId: dataset.id,
    event: { type: 'job.accepted', dataset: dataset.code, fileName, bytes },
  })
  await audit(tx, {
    actor: owner.userId,
    action: 'import.accept',
    subjectType: 'job',
    subjectId: jobId,
    details: { dataset: dataset.code, fileName, bytes, sha256 },
  })
}
