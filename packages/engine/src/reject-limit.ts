/** When a file has failed for its rejects, whatever else is in it. */
export interface RejectLimit {
  /** The share of the records that may be rejects, 0 to 1. */
  readonly share: number
  /** Reading goes on up to this many rejects, so that a person sees what is wrong with the file. */
  readonly floor: number
}

/** How far a reading is. */
export interface Reading {
  readonly records: number
  readonly rejects: number
  /** An upper bound of the bytes that no record was made of yet. */
  readonly unreadBytes: number
  /** Columns that a good record has. */
  readonly columns: number
}

/**
 * Returns true when more than the share of all records will be rejects even if all that is unread were good records of
 * the shortest possible length. Never true for a file that passes when it is read to its end.
 */
export function hasFailed(limit: RejectLimit, { records, rejects, unreadBytes, columns }: Reading): boolean {
  if (rejects <= limit.floor) return false
  // A delimiter between two columns and a line end; the last line may lack it. One empty column is a blank line.
  const shortest = Math.max(2, columns)
  const possible = Math.floor((unreadBytes + 1) / shortest)
  return rejects / (records + possible) > limit.share
}
