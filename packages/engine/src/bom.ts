/** The byte order mark of UTF-8. */
export const BOM = [0xef, 0xbb, 0xbf] as const

/** Returns true when a byte order mark begins at `at` and ends before `end`. */
export function isBom(bytes: Uint8Array, at: number, end: number): boolean {
  return at + 2 < end && bytes[at] === BOM[0] && bytes[at + 1] === BOM[1] && bytes[at + 2] === BOM[2]
}
