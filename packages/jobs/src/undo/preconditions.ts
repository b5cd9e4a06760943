import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { counted } from '@aduana/contracts/figures'
import type { Principal } from '@aduana/contracts/identity'
import { OPEN_JOBS } from '@aduana/contracts/job-states'
import { ProblemError } from '@aduana/contracts/problems'
import { asFields } from '@aduana/contracts/send-again'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import type { LoadedImport } from './plan.ts'

/** The state of a job that a user wants to undo. */
export interface JobToUndo {
  type: string
  status: string
  batch_deleted: boolean
  undone_by: string | null
  dry_run: boolean
}

/**
 * Rejects an undo of a job that is not a completed import.
 * @throws ProblemError `illegal_transition`, `already_undone`
 */
export function assertUndoable(job: JobToUndo): void {
  if (job.type === 'undo')
    throw new ProblemError(
      'illegal_transition',
      'An undo cannot be undone. To restore the rows, import the file of the import again.',
    )
  if (job.type !== 'import')
    throw new ProblemError(
      'illegal_transition',
      `Only an import can be undone, but the type of this job is ${job.type}.`,
    )
  if (job.batch_deleted)
    throw new ProblemError(
      'already_undone',
      `The import has already been undone by job ${job.undone_by ?? ''}. To restore its rows, import the file again.`,
      job.undone_by === null ? {} : { jobId: job.undone_by },
    )
  if (job.dry_run)
    throw new ProblemError(
      'illegal_transition',
      'The job was a dry run. It loaded nothing, so there is nothing to undo.',
    )
  if (job.status === 'COMPLETED') return
  const ended = job.status === 'FAILED' || job.status === 'CANCELLED'
  throw new ProblemError(
    'illegal_transition',
    ended
      ? `The job is ${job.status}. It loaded nothing, so there is nothing to undo.`
      : `The job is ${job.status}. Cancel the job, or wait until it has completed.`,
  )
}

/** Rejects a second undo of an import. @throws ProblemError `undo_open` */
export async function assertNoOpenUndo(tx: Tx, id: string): Promise<void> {
  const open = await tx
    .selectFrom('jobs')
    .select('id')
    .where('parent_id', '=', id)
    .where('type', '=', 'undo')
    .where('status', 'in', [...OPEN_JOBS, 'COMPLETED'])
    .executeTakeFirst()
  if (open) throw undoOpen(open.id)
}

/** Returns the error for an import that the job `jobId`, if known, is already undoing. */
export function undoOpen(jobId: string | undefined): ProblemError {
  const which = jobId === undefined ? 'Another job' : `Job ${jobId}`
  return new ProblemError(
    'undo_open',
    `${which} is undoing the import. Wait until it has ended.`,
    jobId === undefined ? {} : { jobId },
  )
}

/**
 * Rejects an undo of an import that was loaded more than `undoDays` ago, by the database's clock.
 * @throws ProblemError `undo_expired`
 */
export async function assertWithinUndoDays(
  tx: Tx,
  first: LoadedImport,
  { code, retention }: DatasetDefinition,
): Promise<void> {
  const oldest = sql<Date>`clock_timestamp() - make_interval(days => ${retention.undoDays})`
  const young = await tx
    .selectFrom('jobs')
    .select('id')
    .where('id', '=', first.id)
    .where('loaded_at', '>=', oldest)
    .executeTakeFirst()
  if (young) return
  throw new ProblemError(
    'undo_expired',
    `Imports of ${code} can be undone for ${counted(retention.undoDays, 'day')}. This import was loaded at ${first.loadedAt.toISOString()}. To replace its rows, import a file for the same days.`,
  )
}

/** Returns the error for an import whose dataset has since changed its days, time zone or scopes. */
export function movedSince(first: LoadedImport, code: string): ProblemError {
  return new ProblemError(
    'undo_expired',
    `The days, the time zone or the scopes of ${code} have changed since the import was accepted (version ${first.version}). To replace its rows, import a file for the same days.`,
  )
}

/** Rejects an undo of an import whose before-image is gone. @throws ProblemError `undo_expired` */
export async function assertBeforeImages(tx: Tx, first: LoadedImport): Promise<void> {
  const found = await sql<{ rows: string | null; kept: boolean }>`
    select s.output ->> 'beforeRows' as rows, exists (select from artifacts a where a.job_id = ${first.id}
      and a.name = 'before-image.csv.gz' and a.removed_at is null) as kept
    from stage_results s where s.job_id = ${first.id} and s.stage = 'load' and s.state = 'done'`.execute(tx)
  const [image] = found.rows
  if (image && image.rows !== null && (image.rows === '0' || image.kept)) return
  throw new ProblemError(
    'undo_expired',
    image?.rows == null
      ? 'The data needed to undo the import was removed at the end of its retention, or was not stored by the version of Aduana that loaded it. To replace the rows of the import, import a file for the same days.'
      : 'The rows that the import replaced were removed at the end of their retention. To replace the rows of the import, import a file for the same days.',
  )
}

/**
 * Rejects an undo of imports that the user may not undo.
 * @throws ProblemError `forbidden` with the `jobs`
 */
export function assertOwnImports(principal: Principal, imports: readonly LoadedImport[]): void {
  const foreign = imports.filter((one) => !mayUndo(principal, one))
  if (foreign.length === 0) return
  throw new ProblemError(
    'forbidden',
    `You can only undo your own imports, and only of companies and warehouses that you have access to. The undo would include ${list(foreign)}. Ask an admin.`,
    { jobs: foreign.map(({ id }) => id) },
  )
}

/**
 * Returns whether a user may undo an import: one of their own or, as an admin, any, provided that they have access to all
 * of its companies and warehouses.
 */
export function mayUndo(
  who: Pick<Principal, 'userId' | 'role' | 'companies' | 'warehouses'>,
  one: LoadedImport,
): boolean {
  return (
    (who.role === 'admin' || who.userId === one.userId) &&
    covers(who.companies, one.companies) &&
    covers(who.warehouses, one.warehouses)
  )
}

function covers(mine: readonly string[] | null, needed: readonly string[] | null): boolean {
  return mine === null || (needed?.every((name) => mine.includes(name)) ?? false)
}

/** Returns the error for an import that later imports block, newest first. */
export function overlapProblem(later: readonly LoadedImport[]): ProblemError {
  return new ProblemError('undo_overlap', overlapDetail(later), { jobs: later.map(({ id }) => id) })
}

/** Returns the text that names the later imports that block an undo, newest first, and what to do. */
export function overlapDetail(later: readonly LoadedImport[]): string {
  return `Later imports have replaced or changed rows of this import: ${list(later)}. Undo them first, in this order, or send ${asFields({ unwind: 'true' })} to undo all of them at once.`
}

const SHOWN = 20

function list(imports: readonly LoadedImport[]): string {
  const shown = imports.slice(0, SHOWN).map(({ id, importNo }) => `${id} (#${importNo})`)
  const more = imports.length > SHOWN ? ` and ${imports.length - SHOWN} more` : ''
  return `${shown.join(', ')}${more}`
}
