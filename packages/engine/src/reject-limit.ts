/** The limit above which a file fails because of its rejects, whatever else it contains. */
export interface RejectLimit {
  /** The share of the records that may be rejects, 0 to 1. */
  readonly share: number
  /** Reading continues up to this many rejects, so that users see what is wrong with the file. */
  readonly floor: number
}

/** How far a file has been read. */
export interface Reading {
  readonly records: number
  readonly rejects: number
  /** An upper bound of the bytes not yet turned into records. */
  readonly unreadBytes: number
  /** Number of columns of a good record. */
  readonly columns: number
}

/**
 * Returns true if more than the share of all records will be rejects, even if all unread bytes are good records of the
 * shortest possible length. Never true for a file that passes when read to its end.
 */
export function hasFailed(limit: RejectLimit, { records, rejects, unreadBytes, columns }: Reading): boolean {
  if (rejects <= limit.floor) return false
  // Delimiters, one character and a line end; the last line may lack it. A line without any value is not a record.
  const shortest = columns + 1
  const possible = Math.floor((unreadBytes + 1) / shortest)
  return rejects / (records + possible) > limit.share
}
