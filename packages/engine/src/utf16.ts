/** A streaming decoder of UTF-16 into UTF-8 bytes. */
export interface Utf16Decoder {
  /** Decodes a chunk; a code unit or pair that its end splits waits for the next one. */
  write(chunk: Uint8Array): Buffer
  /** Returns the rest at the end: a half code unit or pair, as an invalid byte. */
  end(): Buffer
}

/** Represents half of a surrogate pair in the decoded bytes. */
const LONE_SURROGATE = 0xff
/** Represents half of a code unit at the end of the file in the decoded bytes. */
const HALF_UNIT = 0xfe

/**
 * Decodes UTF-16 to UTF-8, with one difference from the usual decoders: invalid code units become the byte
 * `LONE_SURROGATE` or `HALF_UNIT` instead of U+FFFD, so that their record is rejected as `invalid_utf8` and not stored
 * with a character that was never sent. The BOM is decoded like any character.
 */
export function utf16Decoder(order: 'utf-16le' | 'utf-16be'): Utf16Decoder {
  const high = order === 'utf-16le' ? 1 : 0
  const low = 1 - high
  let rest: Uint8Array = new Uint8Array(0)
  const decode = (bytes: Uint8Array, final: boolean): Buffer => {
    const out = Buffer.allocUnsafe(bytes.length * 2 + 4)
    let o = 0
    let p = 0
    const unit = (at: number) => ((bytes[at + high] ?? 0) << 8) | (bytes[at + low] ?? 0)
    for (; p + 1 < bytes.length; p += 2) {
      const first = unit(p)
      if (first < 0x80) out[o++] = first
      else if (first < 0x800) {
        out[o++] = 0xc0 | (first >> 6)
        out[o++] = 0x80 | (first & 0x3f)
      } else if (first < 0xd800 || first > 0xdfff) {
        out[o++] = 0xe0 | (first >> 12)
        out[o++] = 0x80 | ((first >> 6) & 0x3f)
        out[o++] = 0x80 | (first & 0x3f)
      } else {
        if (first < 0xdc00 && p + 3 >= bytes.length && !final) break
        const second = p + 3 < bytes.length ? unit(p + 2) : 0
        if (first >= 0xdc00 || second < 0xdc00 || second > 0xdfff) {
          out[o++] = LONE_SURROGATE
          continue
        }
        const point = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        out[o++] = 0xf0 | (point >> 18)
        out[o++] = 0x80 | ((point >> 12) & 0x3f)
        out[o++] = 0x80 | ((point >> 6) & 0x3f)
        out[o++] = 0x80 | (point & 0x3f)
        p += 2
      }
    }
    // One more NUL or Ctrl-Z is padding, as some programs add it regardless of the encoding.
    const odd = bytes[p] ?? 0
    if (final && p < bytes.length) out[o++] = odd === 0 || odd === 0x1a ? odd : HALF_UNIT
    rest = bytes.slice(p)
    return out.subarray(0, o)
  }
  return {
    write: (chunk) => decode(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]), false),
    end: () => decode(rest, true),
  }
}

/** Returns how many bytes of UTF-16 the decoded bytes `[from, end)` were. Both bounds must lie between characters. */
export function utf16Bytes(decoded: Uint8Array, from: number, end: number): number {
  let bytes = 0
  for (let at = from; at < end; at++) {
    const byte = decoded[at] ?? 0
    // A character is counted at its first byte.
    if (byte >= 0x80 && byte < 0xc0) continue
    if (byte === HALF_UNIT) bytes += 1
    else bytes += byte >= 0xf0 && byte < 0xf8 ? 4 : 2
  }
  return bytes
}

/** A code unit that is not valid UTF-16, and its offset in the original, in bytes. */
export interface InvalidUnit {
  kind: 'lone_surrogate' | 'half_unit'
  offset: number
}

/**
 * Returns the first invalid code unit in `decoded[from, end)`, which begins at `start` of the original; null if there
 * is none.
 */
export function firstInvalidUnit(
  decoded: Uint8Array,
  from: number,
  end: number,
  start: number,
): InvalidUnit | null {
  for (let at = from; at < end; at++) {
    const byte = decoded[at] ?? 0
    if (byte < HALF_UNIT) continue
    const kind = byte === LONE_SURROGATE ? 'lone_surrogate' : 'half_unit'
    return { kind, offset: start + utf16Bytes(decoded, from, at) }
  }
  return null
}
