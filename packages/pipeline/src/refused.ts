import type { JobFailure } from '@aduana/contracts/failures'

/** A condition found inside a transaction fails the import for good. The transaction rolls back. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly failure: JobFailure
  constructor(failure: JobFailure) {
    super(failure.detail)
    this.failure = failure
  }
}
