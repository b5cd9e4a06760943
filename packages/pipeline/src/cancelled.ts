/** A user requested cancellation of the job just before its load could commit. The transaction rolls back. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
  constructor() {
    super('the job was cancelled')
  }
}
