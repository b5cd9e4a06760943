/** The table changed after it was examined. The transaction rolls back, and the stage is retried. */
export class TryAgainError extends Error {
  override readonly name = 'TryAgainError'
}
