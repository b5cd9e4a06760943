/**
 * What is kept of the rejects of an import that fails for them. Reading goes on up to this many: who has to correct a
 * file needs examples, not all of them.
 */
export const REJECTS_KEPT_OF_FAILED = 10_000

/** Rejects may take so many bytes for each unpacked byte of their file, and at least the floor. */
const BYTES_PER_BYTE = 8
const BYTES_FLOOR = 1024 * 1024

/** The most bytes of rejects that are kept of a file of so many unpacked bytes, before they are packed. */
export function mostRejectBytes(unpackedBytes: number): number {
  return Math.max(BYTES_FLOOR, unpackedBytes * BYTES_PER_BYTE)
}

/** The most that is kept of a file that fails for its rejects. */
export function mostKeptOfFailed(unpackedBytes: number): { rejects: number; bytes: number } {
  return { rejects: REJECTS_KEPT_OF_FAILED, bytes: mostRejectBytes(unpackedBytes) }
}
