/** The limit beyond which a file fails for its rejects, whatever else is in it. */
export interface RejectLimit {
  /** The share of the records that may be rejects, 0 to 1. */
  readonly share: number
  /** Reading goes on up to this many rejects, so that the user sees what is wrong with the file. */
  readonly floor: number
}

/** How far a file has been read. */
export interface Reading {
  readonly records: number
  readonly rejects: number
  /** An upper bound of the bytes not yet turned into records. */
  readonly unreadBytes: number
  /** Columns of a good record. */
  readonly columns: number
}

/**
 * Returns true when more than the share of all records will be rejects even if all that is unread were good records of
 * the shortest possible length. Never true for a file that passes when it is read to its end.
 */
export function hasFailed(limit: RejectLimit, { records, rejects, unreadBytes, columns }: Reading): boolean {
  if (rejects <= limit.floor) return false
  // Delimiters, one character and a line end; the last line may lack it. A line without any value is no record.
  const shortest = columns + 1
  const possible = Math.floor((unreadBytes + 1) / shortest)
  return rejects / (records + possible) > limit.share
}
