/**
 * Number of rejects that are kept of an import that fails for them. Reading goes on up to this many: correcting a file
 * takes examples, not all of them.
 */
export const REJECTS_KEPT_OF_FAILED = 10_000

/** Bytes that rejects may take for each unpacked byte of their file; the floor applies to small files. */
const BYTES_PER_BYTE = 8
const BYTES_FLOOR = 1024 * 1024

/** Returns the most bytes of rejects that are kept of a file with this many unpacked bytes, before compression. */
export function mostRejectBytes(unpackedBytes: number): number {
  return Math.max(BYTES_FLOOR, unpackedBytes * BYTES_PER_BYTE)
}

/** Returns the most rejects and bytes that are kept of a file that fails for its rejects. */
export function mostKeptOfFailed(unpackedBytes: number): { rejects: number; bytes: number } {
  return { rejects: REJECTS_KEPT_OF_FAILED, bytes: mostRejectBytes(unpackedBytes) }
}
