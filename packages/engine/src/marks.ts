import { type ByteEncoding, decodeText } from './text.ts'

/** The byte order mark of UTF-8. */
export const BOM = [0xef, 0xbb, 0xbf] as const

/** Returns true if a byte order mark begins at `at` and ends before `end`. */
export function isBom(bytes: Uint8Array, at: number, end: number): boolean {
  return at + 2 < end && bytes[at] === BOM[0] && bytes[at + 1] === BOM[1] && bytes[at + 2] === BOM[2]
}

const spaces = new Map<ByteEncoding, readonly number[]>()

/** Returns the bytes of a no-break space in an encoding; empty if the encoding lacks it. */
export function noBreakSpace(encoding: ByteEncoding): readonly number[] {
  const known = spaces.get(encoding)
  if (known) return known
  const bytes = Array.from({ length: 256 }, (_, byte) => byte)
  const found =
    encoding === 'utf-8'
      ? [0xc2, 0xa0]
      : bytes.filter((byte) => decodeText(Uint8Array.of(byte), encoding) === '\u00a0')
  spaces.set(encoding, found)
  return found
}

/** Returns true if the bytes at `at` are those of `noBreakSpace`, and end at or before `end`. */
export function isSpace(bytes: Uint8Array, at: number, end: number, space: readonly number[]): boolean {
  const length = space.length
  if (length === 0 || bytes[at] !== space[0] || at + length > end) return false
  return length === 1 || bytes[at + 1] === space[1]
}
