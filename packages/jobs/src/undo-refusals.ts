import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { asFields } from '@aduana/contracts/send-again'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import type { LoadedImport } from './undo-plan.ts'

/** A job that somebody wants to take back, as it stands. */
export interface UndoneJob {
  type: string
  status: string
  batch_deleted: boolean
  undone_by: string | null
  dry_run: boolean
}

/** Only an import that has completed can be taken back. */
export function refuseState(job: UndoneJob): void {
  if (job.type === 'undo')
    throw new ProblemError(
      'illegal_transition',
      'An undo cannot be undone. To have the rows back, import the file of the import again.',
    )
  if (job.type !== 'import')
    throw new ProblemError(
      'illegal_transition',
      `Only an import can be undone; this job is of type ${job.type}.`,
    )
  if (job.batch_deleted)
    throw new ProblemError(
      'already_undone',
      `The import has been taken back by job ${job.undone_by ?? ''} already. To have its rows back, import the file again.`,
      job.undone_by === null ? {} : { jobId: job.undone_by },
    )
  if (job.dry_run)
    throw new ProblemError(
      'illegal_transition',
      'The job was a dry run: it loaded nothing, so nothing can be undone.',
    )
  if (job.status === 'COMPLETED') return
  const ended = job.status === 'FAILED' || job.status === 'CANCELLED'
  throw new ProblemError(
    'illegal_transition',
    ended
      ? `The job is ${job.status}: it loaded nothing, so nothing can be undone.`
      : `The job is ${job.status}. Cancel it, or wait until it has completed.`,
  )
}

export async function refuseOpenUndo(tx: Tx, id: string): Promise<void> {
  const open = await tx
    .selectFrom('jobs')
    .select('id')
    .where('parent_id', '=', id)
    .where('type', '=', 'undo')
    .where('status', 'in', ['QUEUED', 'PROCESSING', 'COMPLETED'])
    .executeTakeFirst()
  if (open) throw undoOpen(open.id)
}

export function undoOpen(jobId: string | undefined): ProblemError {
  const which = jobId === undefined ? 'Another job' : `Job ${jobId}`
  return new ProblemError(
    'undo_open',
    `${which} is taking the import back. Wait for its end.`,
    jobId === undefined ? {} : { jobId },
  )
}

/** For some time after its load; by the clock of the database. */
export async function refuseExpired(
  tx: Tx,
  first: LoadedImport,
  { code, retention }: DatasetDefinition,
): Promise<void> {
  const found = await sql<{ expired: boolean }>`select loaded_at
    < clock_timestamp() - make_interval(days => ${retention.undoDays}) as expired from jobs where id = ${first.id}`.execute(
    tx,
  )
  if (found.rows[0]?.expired === false) return
  throw new ProblemError(
    'undo_expired',
    `Imports of ${code} can be undone for ${retention.undoDays} days; this one was loaded at ${first.loadedAt.toISOString()}. To replace its rows, import a file for the same days.`,
  )
}

/** What the import replaced was told in days and scopes that mean something else by now. */
export function movedSince(first: LoadedImport, code: string): ProblemError {
  return new ProblemError(
    'undo_expired',
    `The days, the time zone or the scopes of ${code} have been declared anew since the import was accepted (version ${first.version}). To replace its rows, import a file for the same days.`,
  )
}

/** What the import replaced must still be there. */
export async function refuseWithoutImage(tx: Tx, first: LoadedImport): Promise<void> {
  const found = await sql<{ rows: string | null; kept: boolean }>`
    select s.output ->> 'beforeRows' as rows, exists (select from artifacts a where a.job_id = ${first.id}
      and a.name = 'before-image.csv.gz' and a.removed_at is null) as kept
    from stage_results s where s.job_id = ${first.id} and s.stage = 'load' and s.state = 'done'`.execute(tx)
  const [image] = found.rows
  if (image && image.rows !== null && (image.rows === '0' || image.kept)) return
  throw new ProblemError(
    'undo_expired',
    image?.rows == null
      ? 'What is needed to take the import back was removed at the end of its retention, or was not kept by the version of the program that loaded it. To replace its rows, import a file for the same days.'
      : 'The rows that the import replaced were removed at the end of their retention. To replace its rows, import a file for the same days.',
  )
}

/** Taking back concerns rows of companies and warehouses: only who may touch them all may do it. */
export function refuseForeign(principal: Principal, imports: readonly LoadedImport[]): void {
  const foreign = imports.filter((one) => !mayUndo(principal, one))
  if (foreign.length === 0) return
  throw new ProblemError(
    'forbidden',
    `You may take back your own imports, within your companies and warehouses; not ${list(foreign)}. Ask an admin.`,
    { jobs: foreign.map(({ id }) => id) },
  )
}

/** Whether somebody may take an import back: an own one or, for an admin, any, and one whose whole scope is theirs. */
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

export function overlap(later: readonly LoadedImport[]): ProblemError {
  return new ProblemError('undo_overlap', overlapDetail(later), { jobs: later.map(({ id }) => id) })
}

/** Which later imports stand in the way, newest first, and what to do. */
export function overlapDetail(later: readonly LoadedImport[]): string {
  return `Later imports have replaced or changed rows of this one: ${list(later)}. Undo them first, in this order, or send ${asFields({ unwind: 'true' })} to take all of them back at once.`
}

const SHOWN = 20

function list(imports: readonly LoadedImport[]): string {
  const shown = imports.slice(0, SHOWN).map(({ id, importNo }) => `${id} (#${importNo})`)
  const more = imports.length > SHOWN ? ` and ${imports.length - SHOWN} more` : ''
  return `${shown.join(', ')}${more}`
}
