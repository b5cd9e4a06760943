import { createCensus } from './encoding/census.ts'
import { guessEncoding } from './encoding/guess.ts'
import { BOM } from './marks.ts'
import { markupKind } from './markup.ts'
import { endOfContent } from './scan/padding.ts'
import { binaryKind, isControl } from './signatures.ts'
import { byteEncoding, decodeText, type Encoding } from './text.ts'
import { tallyUtf8 } from './utf8.ts'
import { utf16Decoder } from './utf16.ts'

/** The kind of an original, judged by its first bytes, never by its name. */
export type Recognition =
  | { kind: 'csv'; encoding: Encoding; encodingSure: boolean; bom: boolean }
  | { kind: 'gzip' }
  | { kind: 'empty' }
  | { kind: 'unsupported'; found: string }

const CTRL_Z = 0x1a
const MARKUP_BYTES = 64 << 10

const isBlank = (byte: number) => byte === 0x20 || byte === CTRL_Z || (byte >= 0x09 && byte <= 0x0d)
const startsWith = (bytes: Uint8Array, prefix: readonly number[]) =>
  prefix.every((byte, i) => bytes[i] === byte)

/**
 * Recognises an original by its first bytes (a few kilobytes; 256 kB judge the encoding better). Pure; works in a
 * browser. `complete` states that these are all the bytes. The encoding is judged by a sample unless `encodingSure`
 * (BOM, UTF-16); parsing with encoding `auto` examines every byte.
 */
export function recogniseBytes(bytes: Uint8Array, complete = false): Recognition {
  if (bytes.length === 0) return { kind: 'empty' }
  if (startsWith(bytes, [0x1f, 0x8b])) return { kind: 'gzip' }
  const binary = binaryKind(bytes)
  if (binary) return { kind: 'unsupported', found: binary }
  return recogniseText(bytes, complete)
}

function recogniseText(bytes: Uint8Array, complete: boolean): Recognition {
  // A text may be padded with any number of NULs.
  const unpadded = bytes.subarray(0, endOfContent(bytes))
  const { encoding, encodingSure, bom } = textEncoding(bytes, unpadded, complete)
  const isPadding = unpadded.length === 0 && (!complete || bytes.includes(0))
  if (!encoding.startsWith('utf-16') && (isPadding || isBinary(unpadded)))
    return { kind: 'unsupported', found: 'binary data' }
  const markup = markupKind(decodeHead(bytes, encoding))
  if (markup) return { kind: 'unsupported', found: markup }
  const content = bom && encoding === 'utf-8' ? unpadded.subarray(BOM.length) : unpadded
  if (complete && content.every(isBlank)) return { kind: 'empty' }
  return { kind: 'csv', encoding, encodingSure, bom }
}

function textEncoding(
  bytes: Uint8Array,
  unpadded: Uint8Array,
  complete: boolean,
): { encoding: Encoding; encodingSure: boolean; bom: boolean } {
  if (startsWith(bytes, [0xff, 0xfe])) return { encoding: 'utf-16le', encodingSure: true, bom: true }
  if (startsWith(bytes, [0xfe, 0xff])) return { encoding: 'utf-16be', encodingSure: true, bom: true }
  if (startsWith(bytes, BOM)) return { encoding: 'utf-8', encodingSure: true, bom: true }
  const wide = utf16WithoutBom(bytes) ?? utf16WithoutBom(unpadded)
  if (wide) return { encoding: wide, encodingSure: true, bom: false }
  return { encoding: guessOf(bytes, complete), encodingSure: false, bom: false }
}

/** Decodes the beginning of a text, to search it for markup. */
function decodeHead(bytes: Uint8Array, encoding: Encoding): string {
  const head = bytes.subarray(0, MARKUP_BYTES)
  if (encoding !== 'utf-16le' && encoding !== 'utf-16be') return decodeText(head, byteEncoding(encoding))
  return decodeText(utf16Decoder(encoding).write(head), 'utf-8')
}

function guessOf(bytes: Uint8Array, complete: boolean): Encoding {
  const tally = { sequences: 0, invalid: 0 }
  tallyUtf8(bytes, 0, bytes.length, complete, tally)
  if (tally.invalid === 0) return 'utf-8'
  const census = createCensus()
  census.add(bytes)
  return guessEncoding(census.finish(complete)).encoding
}

// Latin text in UTF-16 has a NUL in nearly every second byte.
function utf16WithoutBom(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  const pairs = Math.min(bytes.length, 4096) >> 1
  if (pairs < 4) return null
  let even = 0
  let odd = 0
  for (let i = 0; i < pairs; i++) {
    if (bytes[2 * i] === 0) even++
    if (bytes[2 * i + 1] === 0) odd++
  }
  if (odd > pairs * 0.7 && even < pairs * 0.05) return 'utf-16le'
  if (even > pairs * 0.7 && odd < pairs * 0.05) return 'utf-16be'
  return null
}

// A text may contain a stray NUL (its record is rejected); binary data is full of control bytes.
function isBinary(bytes: Uint8Array): boolean {
  let controls = 0
  for (const byte of bytes) if (isControl(byte)) controls++
  return controls >= 16 && controls > bytes.length * 0.04
}
