import { CODE_PAGES, CODE_POINTS, type CodePage } from './encoding/code-pages.ts'

/** The encodings that the scanner works on. */
export const BYTE_ENCODINGS = ['utf-8', ...CODE_PAGES] as const
export type ByteEncoding = 'utf-8' | CodePage

/** Encodings that an original may have. UTF-16 is decoded to UTF-8 before all other processing. */
export const ENCODINGS = [...BYTE_ENCODINGS, 'utf-16le', 'utf-16be'] as const
export type Encoding = (typeof ENCODINGS)[number]

/** Returns the encoding of the byte stream that offsets refer to: UTF-16 originals are read as UTF-8. */
export function byteEncoding(encoding: Encoding): ByteEncoding {
  return encoding === 'utf-16le' || encoding === 'utf-16be' ? 'utf-8' : encoding
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Decodes bytes exactly as they are (a BOM is kept). Invalid UTF-8 becomes U+FFFD, so use this to show text, not to
 * validate it.
 */
export function decodeText(bytes: Uint8Array, encoding: ByteEncoding): string {
  if (encoding === 'utf-8') return utf8.decode(bytes)
  const codePoints = CODE_POINTS[encoding]
  let text = ''
  for (let from = 0; from < bytes.length; from += 8192) {
    const part = bytes.subarray(from, from + 8192)
    const points = new Array<number>(part.length)
    for (let i = 0; i < part.length; i++) points[i] = codePoints[part[i] ?? 0] ?? 0
    text += String.fromCharCode(...points)
  }
  return text
}

/** Truncates bytes to at most `cap` without splitting a UTF-8 sequence. */
export function capBytes(bytes: Uint8Array, cap: number, encoding: ByteEncoding): Uint8Array {
  if (bytes.length <= cap) return bytes
  let end = cap
  if (encoding === 'utf-8') {
    for (let back = 0; back < 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80; back++) end--
  }
  return bytes.subarray(0, end)
}
