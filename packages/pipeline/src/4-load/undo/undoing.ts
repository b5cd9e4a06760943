import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Tx } from '@aduana/db/database'
import type { LoadedImport } from '@aduana/jobs/undo/plan'
import type pg from 'pg'
import type { StageJob } from '../../stage.ts'
import type { LedgerDay } from '../ledger.ts'
import type { UndoFacts } from './request.ts'

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
