/** The table was not as it had been found a moment before: the transaction rolls back, and the stage is tried again. */
export class TryAgainError extends Error {
  override readonly name = 'TryAgainError'
}
