import { StoreError } from '@aduana/artifacts/store'
import type { JobFailure } from '@aduana/contracts/failures'
import type { StageName } from '@aduana/contracts/stages'
import { errorCode, isTransient, violatedConstraint } from '@aduana/db/sql-errors'
import { EngineError } from '@aduana/engine/errors'

/** A user requested cancellation of the job just before its load could commit. The transaction rolls back. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
  constructor() {
    super('the job was cancelled')
  }
}

/** A condition found inside a transaction fails the import for good. The transaction rolls back. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly failure: JobFailure
  constructor(failure: JobFailure) {
    super(failure.detail)
    this.failure = failure
  }
}

/** The table changed after it was examined. The transaction rolls back, and the stage is retried. */
export class TryAgainError extends Error {
  override readonly name = 'TryAgainError'
}

/** A file that a stage needs is missing or differs from what was stored. */
export class LostFileError extends Error {
  override readonly name = 'LostFileError'
  /** What can create it again: the stage that made it, or for the original its sender. `none` for files of another job. */
  readonly madeBy: StageName | 'sender' | 'none'
  constructor(message: string, madeBy: StageName | 'sender' | 'none', options?: ErrorOptions) {
    super(message, options)
    this.madeBy = madeBy
  }
}

/** An error as reported to users, and whether a retry of the same work may succeed. */
export interface ReadFailure {
  failure: JobFailure
  transient: boolean
}

/**
 * SQLSTATE codes by which a table refuses rows: data exceptions, violated constraints, limits of PostgreSQL (a row or
 * an index entry that is too long), errors that a trigger raises, and overlapping partitions.
 */
const REFUSED_BY_TABLE = /^(2[23]...|54...|P0...|42P07|42P17)$/

/** Returns what an unexpected error means for the job. This is the only place that decides which errors are retried. */
export function readFailure(error: unknown, stage: StageName): ReadFailure {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof RefusedError) return { transient: false, failure: error.failure }
  if (error instanceof TryAgainError)
    return { transient: true, failure: { code: 'internal', detail: message } }
  if (error instanceof EngineError) return readEngineError(error)
  if (error instanceof LostFileError)
    return {
      transient: false,
      failure: { code: 'artifact_missing', detail: `${message} ${remedy(error)}`.trim() },
    }
  if (error instanceof StoreError) return { transient: true, failure: { code: 'internal', detail: message } }
  const constraint = violatedConstraint(error)
  const state = errorCode(error)
  if (stage === 'load' && (constraint !== undefined || REFUSED_BY_TABLE.test(state ?? '')))
    return {
      transient: false,
      failure: {
        code: 'constraint_violated',
        detail: `The table refused the rows: ${message}. Nothing was changed. The dataset definition allows values that the table does not.`,
        ...(constraint === undefined ? {} : { constraint }),
      },
    }
  if (isTransient(error) || isAbort(error))
    return {
      transient: true,
      failure: { code: 'internal', detail: `A service was not available: ${message}` },
    }
  return { transient: false, failure: { code: 'internal', detail: message } }
}

function remedy({ madeBy }: LostFileError): string {
  if (madeBy === 'none') return ''
  if (madeBy === 'sender') return 'Upload the file again.'
  return `Retry the job: it begins again at ${madeBy}, which creates the file again.`
}

function readEngineError(error: EngineError): ReadFailure {
  switch (error.code) {
    case 'bad_input':
      return {
        transient: false,
        failure: {
          code: 'unreadable_file',
          detail: `The file could not be read: ${error.message}. Nothing was changed.`,
        },
      }
    case 'engine_out_of_memory':
      return {
        transient: false,
        failure: {
          code: 'engine_out_of_memory',
          detail: `The file needs more memory than one import may use: ${error.message}. Nothing was loaded. Raise ADUANA_ENGINE_MEMORY_MB of the workers and retry the job, or split the file.`,
        },
      }
    case 'engine_crashed':
    case 'disk_full':
    case 'aborted':
      return { transient: true, failure: { code: 'internal', detail: error.message } }
    default:
      return { transient: false, failure: { code: 'internal', detail: error.message } }
  }
}

/** Returns true for work that Aduana stopped itself, for example after a lost lease; a later try may succeed. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
