import { randomUUID } from 'node:crypto'
import type { Stored } from '@aduana/artifacts/store'
import { cleanCode } from '@aduana/contracts/characters'
import type { DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { addDays, type Day, daysBetween } from '@aduana/contracts/dates'
import { counted, figure } from '@aduana/contracts/figures'
import { hasRole, type Principal } from '@aduana/contracts/identity'
import { ImportAccepted, type ImportForm } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { isCode } from '@aduana/datasets/codes'
import { holdDataset, type RegisteredDataset, readDataset } from '@aduana/datasets/registry'
import { type Database, inTransactionWithLockTimeout, type Tx } from '@aduana/db/database'
import { violatedConstraint } from '@aduana/db/sql-errors'
import { failPoint } from '@aduana/runtime/fail-points'
import { ensureQuota } from '../retention/stored-bytes.ts'
import type { Window } from '../windows/windows.ts'
import { createIdempotently, type IdempotentResult, type RepeatableRequest } from './idempotency.ts'
import { insertImport } from './insert-import.ts'
import { ensureQueueCapacity, lockQueueCapacity, type QueueLimits } from './queue-capacity.ts'
import { importOfSameBytes, sameBytes } from './same-bytes.ts'

export interface AcceptContext extends QueueLimits {
  db: Database
  /** Maximum number of bytes that a tenant may keep; unlimited by default. */
  maxKeptBytesPerTenant?: number
}

/** A file that has been stored completely. */
export interface Upload {
  jobId: string
  key: string
  stored: Stored
  fileName: string
  mediaType: string
}

/** Returns a new job id. */
export function newJobId(): string {
  return randomUUID()
}

/**
 * Accepts a stored file as an import. From then on the job is guaranteed to reach a final state. Requests are validated
 * here as far as possible. Redis is not needed. A `repeatable` request is accepted once; when it is replayed, the new
 * upload remains unreferenced.
 * @throws ProblemError `forbidden`, `unknown_dataset`, `belongs_to_run`, `bad_window`, `queue_full`, `quota_exceeded`, `already_imported`,
 * `window_locked`, `idempotency_key_reused`
 */
export async function acceptImport(
  context: AcceptContext,
  principal: Principal,
  upload: Upload,
  form: ImportForm,
  repeatable?: RepeatableRequest,
): Promise<IdempotentResult<ImportAccepted>> {
  if (!hasRole(principal.role, 'operator'))
    throw new ProblemError(
      'forbidden',
      'Importing requires the role operator, steward or admin. Ask an admin.',
    )
  try {
    const accepted = await inTransactionWithLockTimeout(context.db, async (tx) => {
      const result = await createIdempotently(tx, repeatable, ImportAccepted, async () => {
        await create(tx, context, principal, upload, form)
        return { status: 202, body: { id: upload.jobId, status: 'QUEUED' as const } }
      })
      await failPoint('accept.before-commit')
      return result
    })
    await failPoint('accept.after-commit')
    return accepted
  } catch (error) {
    if (violatedConstraint(error) === 'jobs_same_bytes_once')
      throw await alreadyImported(
        context.db,
        await readDataset(context.db, form.dataset),
        upload.stored.sha256,
      )
    throw error
  }
}

async function create(
  tx: Tx,
  limits: AcceptContext,
  principal: Principal,
  upload: Upload,
  form: ImportForm,
): Promise<void> {
  const dataset = await holdDataset(tx, form.dataset)
  if (dataset.definition.origin === 'runs')
    throw new ProblemError(
      'belongs_to_run',
      `The dataset ${dataset.code} contains results of metric runs, so files cannot be imported into it. Choose another dataset.`,
    )
  if (form.dryRun && form.requireApproval)
    throw new ProblemError(
      'bad_request',
      'A dry run changes nothing, so there is nothing to approve. Send dryRun or requireApproval, but not both.',
    )
  const mode = chooseMode(dataset.definition, form)
  const window = declaredWindow(dataset.definition, form)
  if (window) assertScopeAllowed(dataset.definition, principal, window)
  await lockQueueCapacity(tx)
  await ensureQueueCapacity(tx, limits, principal.tenant)
  const { jobId, key, stored, fileName, mediaType } = upload
  await ensureQuota(tx, limits, { tenant: principal.tenant, bytes: stored.bytes })
  await insertImport(tx, {
    ...form,
    jobId,
    dataset,
    owner: principal,
    file: { name: fileName, ...stored },
    original: { key, mediaType },
    mode,
    window,
    parameters: { ...form, fileName, mode },
  })
}

/**
 * Returns whether the acceptance of a job was committed. For use after an error that leaves this unknown, such as a connection
 * that was lost at COMMIT. Waits until concurrent acceptances have ended.
 * @throws Error when the outcome cannot be determined now
 */
export async function wasAccepted(db: Database, jobId: string): Promise<boolean> {
  const isThere = async (tx: Tx) => {
    await lockQueueCapacity(tx)
    const job = await tx.selectFrom('jobs').select('id').where('id', '=', jobId).executeTakeFirst()
    return job !== undefined
  }
  return inTransactionWithLockTimeout(db, isThere, 5)
}

/**
 * Returns the load mode of an import: the requested one, or else the dataset's own.
 * @throws ProblemError `bad_request` when the dataset does not support the requested mode
 */
function chooseMode(definition: DatasetDefinition, form: ImportForm): LoadMode {
  const mode = form.mode ?? definition.loadMode
  if (mode === 'upsert' && !definition.key)
    throw new ProblemError(
      'bad_request',
      `The dataset ${definition.code} has no key, which the mode upsert requires. Omit mode, or send another one.`,
    )
  if (mode !== 'upsert' && definition.loadMode === 'upsert')
    throw new ProblemError(
      'bad_request',
      `The dataset ${definition.code} has a key, so it can only be loaded with the mode upsert. Omit mode, or send upsert.`,
    )
  if (mode === 'replace-window' && !definition.windowColumn)
    throw new ProblemError(
      'bad_request',
      `The dataset ${definition.code} has no window column, which the mode replace-window requires. Omit mode, or send another one.`,
    )
  return mode
}

/**
 * Returns the window that the uploader declares. Both ends must be given, or none; `to` is exclusive.
 * @throws ProblemError `bad_window`, also for a scope that does not apply
 */
function declaredWindow(definition: DatasetDefinition, form: ImportForm): Window | undefined {
  const { from, to } = form
  if (form.scope !== undefined && !definition.replaceScope)
    throw new ProblemError('bad_window', `The dataset ${definition.code} has no replace scope. Omit scope.`)
  if (from === undefined && to === undefined) {
    if (form.scope === undefined) return undefined
    throw new ProblemError(
      'bad_window',
      `The scope "${form.scope}" requires a window. Send from and to as well, or omit the scope. Without a window, an import of ${definition.code} takes its days and scopes from the file.`,
    )
  }
  if (from === undefined || to === undefined)
    throw new ProblemError(
      'bad_window',
      'A window requires both from, its first day, and to, the first day after it. Send both, or none.',
    )
  if (from >= to)
    throw new ProblemError(
      'bad_window',
      `from (${from}) must be before to (${to}); to is the first day after the window.`,
    )
  if (!definition.windowColumn)
    throw new ProblemError(
      'bad_window',
      `The dataset ${definition.code} has no window column, so it has no windows. Omit from and to.`,
    )
  assertPlausibleWindow(definition, from, to)
  if (definition.replaceScope && form.scope === undefined)
    throw new ProblemError(
      'bad_window',
      `A window of ${definition.code} requires a scope, which is a value of ${definition.replaceScope}. Send scope.`,
    )
  return { scope: definition.replaceScope ? scopeOf(definition, form.scope ?? '') : '', from, to }
}

/** Returns a scope as it is stored in the dataset. */
function scopeOf(definition: DatasetDefinition, scope: string): string {
  const column = definition.columns.find(({ name }) => name === definition.replaceScope)
  return column && isCode(definition, column) ? cleanCode(scope) : scope
}

/**
 * Rejects a window of a company or warehouse that the uploader has no access to.
 * @throws ProblemError `forbidden`
 */
function assertScopeAllowed(
  { scope, replaceScope }: DatasetDefinition,
  who: Principal,
  window: Window,
): void {
  if (replaceScope === undefined) return
  const company = replaceScope === scope?.company && who.companies?.includes(window.scope) === false
  const warehouse = replaceScope === scope?.warehouse && who.warehouses?.includes(window.scope) === false
  if (company || warehouse)
    throw new ProblemError(
      'forbidden',
      `You have no access to the ${company ? 'company' : 'warehouse'} "${window.scope}". Import data of your own, or ask an admin.`,
    )
}

/**
 * Rejects a window that is too long or outside the range of its column. Without this check a typing error could delete
 * decades of rows and block all other imports of the dataset meanwhile.
 * @throws ProblemError `bad_window`
 */
export function assertPlausibleWindow(definition: DatasetDefinition, from: Day, to: Day): void {
  const span = daysBetween(from, to)
  if (span > definition.maxWindowDays)
    throw new ProblemError(
      'bad_window',
      `The window ${from} to ${to} spans ${counted(span, 'day')}; one import of ${definition.code} may replace at most ${figure(definition.maxWindowDays)}. Send several files, each with its own window.`,
    )
  const column = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (column?.type !== 'date' && column?.type !== 'timestamp') return
  if (from < column.min || addDays(to, -1) > column.max)
    throw new ProblemError(
      'bad_window',
      `The window ${from} to ${to} is outside the range of ${column.name}, which is ${column.min} to ${column.max}. Correct from and to.`,
    )
}

async function alreadyImported(
  db: Database,
  dataset: RegisteredDataset,
  sha256: string,
): Promise<ProblemError> {
  const first = await importOfSameBytes(db, { datasetId: dataset.id, sha256 })
  const { found, remedy } = sameBytes(dataset.code, first)
  return new ProblemError('already_imported', `${found} ${remedy}`, first ? { jobId: first.id } : {})
}
