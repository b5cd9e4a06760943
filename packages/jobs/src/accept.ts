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
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { violatedConstraint } from '@aduana/db/sql-errors'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { enterImport } from './enter-import.ts'
import { ensureQuota } from './kept-bytes.ts'
import { type Once, once, type RepeatableRequest } from './once.ts'
import { ensureRoom, holdRoom, type QueueLimits } from './room.ts'
import { importOfSameBytes, sameBytes } from './same-bytes.ts'
import type { Window } from './windows.ts'

export interface AcceptContext extends QueueLimits {
  db: Database
  /** Bytes that a tenant may keep; unlimited by default. */
  maxKeptBytesPerTenant?: number
}

/** A file that has been stored in full, and what is known of it. */
export interface Upload {
  jobId: string
  key: string
  stored: Stored
  fileName: string
  mediaType: string
}

/** A new id for a job. */
export function newJobId(): string {
  return randomUUID()
}

/**
 * Accept a stored file as an import: from here on the job reaches a final state, whatever fails. Everything that can be
 * refused is refused here; Redis is not needed. A `repeatable` request is accepted once; the upload of a replayed one is
 * pointed at by nothing.
 * @throws ProblemError `forbidden`, `unknown_dataset`, `belongs_to_run`, `bad_window`, `queue_full`, `quota_exceeded`, `already_imported`,
 * `window_locked`, `idempotency_key_reused`
 */
export async function acceptImport(
  context: AcceptContext,
  principal: Principal,
  upload: Upload,
  form: ImportForm,
  repeatable?: RepeatableRequest,
): Promise<Once<ImportAccepted>> {
  if (!hasRole(principal.role, 'operator'))
    throw new ProblemError('forbidden', 'Importing needs the role operator, steward or admin.')
  try {
    const accepted = await inTransaction(context.db, async (tx) => {
      // Whoever goes first may hang with its connection; nobody waits for that for ever.
      await sql`set local lock_timeout = '20s'`.execute(tx)
      const result = await once(tx, repeatable, ImportAccepted, async () => {
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
      `The rows of ${dataset.code} come only with the results of runs of metrics.`,
    )
  if (form.dryRun && form.requireApproval)
    throw new ProblemError(
      'bad_request',
      'A dry run changes nothing, so there is nothing to approve. Send either dryRun or requireApproval.',
    )
  const mode = chooseMode(dataset.definition, form)
  const window = declaredWindow(dataset.definition, form)
  if (window) refuseForeignScope(dataset.definition, principal, window)
  await holdRoom(tx)
  await ensureRoom(tx, limits, principal.tenant)
  const { jobId, key, stored, fileName, mediaType } = upload
  await ensureQuota(tx, limits, { tenant: principal.tenant, bytes: stored.bytes })
  await enterImport(tx, {
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
 * Whether the acceptance of a job was committed, after an error that leaves it open: the connection was lost at COMMIT.
 * Waits for those that are still under way.
 * @throws when that cannot be said now
 */
export async function wasAccepted(db: Database, jobId: string): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    await sql`set local lock_timeout = '5s'`.execute(tx)
    await holdRoom(tx)
    const job = await tx.selectFrom('jobs').select('id').where('id', '=', jobId).executeTakeFirst()
    return job !== undefined
  })
}

/** The load mode of an import: the one asked for, if the dataset can be loaded so, else the dataset's own. */
function chooseMode(definition: DatasetDefinition, form: ImportForm): LoadMode {
  const mode = form.mode ?? definition.loadMode
  if (mode === 'upsert' && !definition.key)
    throw new ProblemError(
      'bad_request',
      `The dataset ${definition.code} has no key, so it cannot be upserted.`,
    )
  if (mode !== 'upsert' && definition.loadMode === 'upsert')
    throw new ProblemError(
      'bad_request',
      `The rows of ${definition.code} have a key; it can only be loaded with the mode upsert.`,
    )
  if (mode === 'replace-window' && !definition.windowColumn)
    throw new ProblemError(
      'bad_request',
      `The dataset ${definition.code} has no window column to replace by.`,
    )
  return mode
}

/**
 * The window that the uploader declares: both ends or none, `to` not included.
 * @throws ProblemError `bad_window`, also for a scope that would mean nothing
 */
function declaredWindow(definition: DatasetDefinition, form: ImportForm): Window | undefined {
  const { from, to } = form
  if (form.scope !== undefined && !definition.replaceScope)
    throw new ProblemError('bad_window', `The windows of ${definition.code} have no scope; leave it out.`)
  if (from === undefined && to === undefined) {
    if (form.scope === undefined) return undefined
    throw new ProblemError(
      'bad_window',
      `A scope belongs to a window: send from and to with "${form.scope}", or leave it out. Without a window an import of ${definition.code} finds its days and scopes in the file.`,
    )
  }
  if (from === undefined || to === undefined)
    throw new ProblemError('bad_window', 'A window needs both ends: from, and to (the first day after it).')
  if (from >= to)
    throw new ProblemError(
      'bad_window',
      `from (${from}) must be before to (${to}); to is the first day after the window.`,
    )
  if (!definition.windowColumn)
    throw new ProblemError('bad_window', `The dataset ${definition.code} has no window column.`)
  refuseOutlandish(definition, from, to)
  if (definition.replaceScope && form.scope === undefined)
    throw new ProblemError(
      'bad_window',
      `A window of ${definition.code} needs its scope (${definition.replaceScope}).`,
    )
  return { scope: definition.replaceScope ? scopeOf(definition, form.scope ?? '') : '', from, to }
}

/** The scope as it is in the cells of the dataset. */
function scopeOf(definition: DatasetDefinition, scope: string): string {
  const column = definition.columns.find(({ name }) => name === definition.replaceScope)
  return column && isCode(definition, column) ? cleanCode(scope) : scope
}

/**
 * Refuse a window of a company or warehouse that the uploader may not touch.
 * @throws ProblemError `forbidden`
 */
function refuseForeignScope(
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
      `"${window.scope}" is not a ${company ? 'company' : 'warehouse'} that you may import for.`,
    )
}

/**
 * A typing error in a window must not delete decades of rows, nor keep everybody waiting while it does.
 * @throws ProblemError `bad_window`
 */
export function refuseOutlandish(definition: DatasetDefinition, from: Day, to: Day): void {
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
      `The window ${from} to ${to} lies outside of what ${column.name} may be: ${column.min} to ${column.max}.`,
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
