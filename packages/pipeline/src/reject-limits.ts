/**
 * Number of rejects kept for an import that fails because of them. Reading continues up to this number: correcting a
 * file takes examples, not all rejects.
 */
export const MAX_REJECTS_OF_FAILED = 10_000

/** Maximum size of rejects for each unpacked byte of their file; the floor applies to small files. */
const BYTES_PER_BYTE = 8
const BYTES_FLOOR = 1024 * 1024

/** Returns the maximum size in bytes, before compression, of the rejects kept for a file with this many unpacked bytes. */
export function maxRejectBytes(unpackedBytes: number): number {
  return Math.max(BYTES_FLOOR, unpackedBytes * BYTES_PER_BYTE)
}

/** Returns the maximum number and bytes of rejects kept for a file that fails because of them. */
export function maxRejectsOfFailed(unpackedBytes: number): { rejects: number; bytes: number } {
  return { rejects: MAX_REJECTS_OF_FAILED, bytes: maxRejectBytes(unpackedBytes) }
}
