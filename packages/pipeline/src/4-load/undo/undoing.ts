import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { Role, ScopeList } from '@aduana/contracts/identity'
import type { Tx } from '@aduana/db/database'
import type { LoadedImport } from '@aduana/jobs/undo/plan'
import { mayUndo, overlapDetail } from '@aduana/jobs/undo/preconditions'
import { sql } from 'kysely'
import type pg from 'pg'
import { z } from 'zod'
import { RefusedError } from '../../failure.ts'
import type { StageJob } from '../../stage.ts'
import type { LedgerDay } from '../ledger.ts'

/** Who requested an undo, when, and whether later imports may be undone with it. */
const UndoFacts = z.object({
  userId: z.uuid(),
  role: Role,
  companies: ScopeList,
  warehouses: ScopeList,
  unwind: z.boolean(),
  acceptedAt: z.coerce.date(),
})
export type UndoFacts = z.infer<typeof UndoFacts>

/** Reads what the undo of a stage attempt must do. */
export async function readRequest({ context, stageAttempt }: StageJob): Promise<UndoFacts> {
  const rows = await sql`select j.user_id as "userId", u.role, j.companies, j.warehouses,
      (j.parameters -> 'unwind')::boolean as unwind, j.created_at as "acceptedAt"
    from jobs j join users u on u.id = j.user_id where j.id = ${stageAttempt.jobId}`.execute(context.db)
  return UndoFacts.parse(rows.rows[0])
}

/**
 * Rejects an undo if there are later imports, unless all of them may be undone too. An undo never covers imports loaded
 * after it was requested.
 * @throws RefusedError `undo_overlap`
 */
export function assertNoLaterWriter(request: UndoFacts, later: readonly LoadedImport[]): void {
  if (!request.unwind) throw refused(overlapDetail(later), later)
  const newer = later.filter(({ loadedAt }) => loadedAt > request.acceptedAt)
  if (newer.length > 0)
    throw refused(`${overlapDetail(newer)} They were loaded after this undo was requested.`, newer)
  const foreign = later.filter((one) => !mayUndo(request, one))
  if (foreign.length > 0) throw refused(`${overlapDetail(foreign)} Only an admin may undo them.`, foreign)
}

function refused(detail: string, later: readonly LoadedImport[]): RefusedError {
  return new RefusedError({
    code: 'undo_overlap',
    detail: `${detail} Nothing was changed.`,
    jobs: later.map(({ id }) => id),
  })
}

/** A transaction that undoes imports. */
export interface Undoing {
  job: StageJob
  tx: Tx
  client: pg.PoolClient
  request: UndoFacts
  /** What has been undone so far, newest first. */
  reversals: Reversal[]
}

/** An import that was undone in the transaction. */
export interface Reversal extends Rows, Rejects {
  one: LoadedImport
  definition: DatasetDefinition
  /** The days on which rows changed. */
  days: LedgerDay[]
}

/** What happened to the rows of an import that was undone. */
export interface Rows {
  deleted: number
  restored: number
  /** Rows that it had changed and that are no longer in the table, so that nothing could be restored. */
  absent: number
  /** Of the deleted rows, those that the undo itself had restored: an import that it undid earlier had changed them. */
  deletedAgain: number
  /** Of the restored rows, those that the undo itself had restored earlier. */
  restoredAgain: number
}

/** What happened to rejects when an import was undone. */
export interface Rejects {
  rejectsSuperseded: number
  rejectsReopened: number
  /** Of the superseded ones, those that the undo itself had reopened earlier. */
  rejectsSupersededAgain: number
}

/** The before-image of an import. */
export interface Image {
  rows: number
  /** The rows as a local file, if there are any, and their columns. */
  file: { path: string; columns: string[] } | undefined
  /** The temporary table with the rows; for upserts only. */
  table: string | undefined
}
