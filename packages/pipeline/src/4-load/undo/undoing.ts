import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Tx } from '@aduana/db/database'
import type { LoadedImport } from '@aduana/jobs/undo-plan'
import type pg from 'pg'
import type { StageJob } from '../../stage.ts'
import type { LedgerDay } from '../ledger.ts'
import type { UndoFacts } from './request.ts'

/** A transaction that takes imports back. */
export interface Undoing {
  job: StageJob
  tx: Tx
  client: pg.PoolClient
  request: UndoFacts
  /** What has been taken back so far, newest first. */
  reversals: Reversal[]
}

/** An import that has been taken back in the transaction. */
export interface Reversal extends Rows, Rejects {
  one: LoadedImport
  definition: DatasetDefinition
  /** The days on which rows have changed. */
  days: LedgerDay[]
}

/** What became of the rows of an import that was taken back. */
export interface Rows {
  deleted: number
  restored: number
  /** Rows that it had changed and that are no longer in the table, so that nothing could be put back. */
  absent: number
  /** Of the deleted rows, those that the undo itself had put back: an import that it took back before had changed them. */
  deletedAgain: number
  /** Of the restored rows, those that the undo itself had restored before. */
  restoredAgain: number
}

/** What became of rejects when an import was taken back. */
export interface Rejects {
  rejectsSuperseded: number
  rejectsReopened: number
  /** Of the superseded ones, those that the undo itself had opened again before. */
  rejectsSupersededAgain: number
}

/** The before-image of an import. */
export interface Image {
  rows: number
  /** The rows as a local file, where there are any, and their columns. */
  file: { path: string; columns: string[] } | undefined
  /** The temporary table that holds the rows; for upserts only. */
  table: string | undefined
}
