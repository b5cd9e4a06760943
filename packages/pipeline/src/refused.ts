import type { JobFailure } from '@aduana/contracts/failures'

/** What was found inside a transaction makes the import fail for good: the transaction rolls back. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly failure: JobFailure
  constructor(failure: JobFailure) {
    super(failure.detail)
    this.failure = failure
  }
}
