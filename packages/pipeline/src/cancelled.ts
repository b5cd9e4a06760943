/** Somebody asked to cancel the job just before its load could commit; the transaction rolls back. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
  constructor() {
    super('the job was cancelled')
  }
}
