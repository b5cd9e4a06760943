/** Encodings an original may be in. UTF-16 is decoded to UTF-8 before anything else looks at the bytes. */
export const ENCODINGS = ['utf-8', 'windows-1252', 'utf-16le', 'utf-16be'] as const
export type Encoding = (typeof ENCODINGS)[number]

/** What is left once UTF-16 has been decoded: the encodings the scanner works on. */
export type ByteEncoding = 'utf-8' | 'windows-1252'

/** The encoding of the byte stream that offsets refer to: UTF-16 originals are read as UTF-8. */
export function byteEncoding(encoding: Encoding): ByteEncoding {
  return encoding === 'windows-1252' ? 'windows-1252' : 'utf-8'
}

// Code points of bytes 0x80..0x9F; the five unassigned bytes map to themselves, as browsers do.
const C1 = [
  0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d,
  0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a,
  0x153, 0x9d, 0x17e, 0x178,
]

/** Unicode code point of each windows-1252 byte. */
export const WINDOWS_1252: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x80 && byte < 0xa0 ? (C1[byte - 0x80] ?? byte) : byte,
)

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Decodes bytes exactly as they are (a BOM stays). Invalid UTF-8 becomes U+FFFD, so this is for showing text,
 * not for deciding whether it is good. Node's own windows-1252 decoder is not used: without `stream` it
 * decodes 0x80..0x9F as control characters.
 */
export function decodeText(bytes: Uint8Array, encoding: ByteEncoding): string {
  if (encoding === 'utf-8') return utf8.decode(bytes)
  let text = ''
  for (let from = 0; from < bytes.length; from += 8192) {
    const part = bytes.subarray(from, from + 8192)
    const points = new Array<number>(part.length)
    for (let i = 0; i < part.length; i++) points[i] = WINDOWS_1252[part[i] ?? 0] ?? 0
    text += String.fromCharCode(...points)
  }
  return text
}

/** Cuts bytes to at most `cap` without splitting a UTF-8 sequence. */
export function capBytes(bytes: Uint8Array, cap: number, encoding: ByteEncoding): Uint8Array {
  if (bytes.length <= cap) return bytes
  let end = cap
  if (encoding === 'utf-8') {
    for (let back = 0; back < 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80; back++) end--
  }
  return bytes.subarray(0, end)
}
