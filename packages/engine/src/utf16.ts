/** A streaming decoder of UTF-16 into UTF-8 bytes. */
export interface Utf16Decoder {
  /** Decodes a chunk; a code unit or pair cut by its end waits for the next one. */
  write(chunk: Uint8Array): Buffer
  /** What is left at the end: a half code unit or pair, as an invalid byte. */
  end(): Buffer
}

/**
 * Decodes UTF-16 to UTF-8 with one difference from the usual decoders: what is not valid (a lone surrogate, half
 * a unit at the end) becomes the byte 0xFF instead of U+FFFD, so that its record is rejected as `invalid_utf8`
 * and not stored with a character nobody sent. The BOM is decoded like any character.
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
          out[o++] = 0xff
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
    if (final && p < bytes.length) out[o++] = 0xff
    rest = bytes.slice(p)
    return out.subarray(0, o)
  }
  return {
    write: (chunk) => decode(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]), false),
    end: () => decode(rest, true),
  }
}
