/** Counts of valid and invalid UTF-8 in the non-ASCII part of a text. */
export interface Utf8Tally {
  /** Well-formed sequences of two to four bytes. */
  sequences: number
  /** Bytes that belong to no well-formed sequence. */
  invalid: number
}

/**
 * Returns the length of the well-formed multi-byte sequence at `at`: 2..4; 0 if the bytes are not UTF-8; -1 if the
 * sequence is valid so far but the bytes end first. Overlong forms, surrogates and code points above U+10FFFF are not
 * UTF-8.
 */
export function sequenceAt(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] ?? 0
  const length =
    lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0
  if (length === 0) return 0
  for (let i = 1; i < length; i++) {
    if (at + i >= end) return -1
    const byte = bytes[at + i] ?? 0
    const low = i > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const high = i > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (byte < low || byte > high) return 0
  }
  return length
}

/**
 * Adds `bytes[from, end)` to the tally and returns the index where counting stopped: `end`, or the start of a sequence
 * that the end of the bytes truncates (then pass it again with the bytes that follow; with `final` it counts as
 * invalid).
 */
export function tallyUtf8(
  bytes: Uint8Array,
  from: number,
  end: number,
  final: boolean,
  tally: Utf8Tally,
): number {
  let at = from
  while (at < end) {
    if ((bytes[at] ?? 0) < 0x80) {
      at++
      continue
    }
    const length = sequenceAt(bytes, at, end)
    if (length === -1 && !final) return at
    if (length > 0) {
      tally.sequences++
      at += length
    } else {
      tally.invalid++
      at++
    }
  }
  return at
}
