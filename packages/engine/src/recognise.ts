import { createCensus } from './encoding/census.ts'
import { guessEncoding } from './encoding/guess.ts'
import type { Encoding } from './text.ts'
import { tallyUtf8 } from './utf8.ts'

/** What an original is, judged by its first bytes, never by its name. */
export type Recognition =
  | { kind: 'csv'; encoding: Encoding; encodingSure: boolean; bom: boolean }
  | { kind: 'gzip' }
  | { kind: 'empty' }
  | { kind: 'unsupported'; found: string }

const SIGNATURES: readonly (readonly [found: string, bytes: readonly number[], at?: number])[] = [
  ['a PDF document', [0x25, 0x50, 0x44, 0x46, 0x2d]],
  ['a Parquet file', [0x50, 0x41, 0x52, 0x31]],
  ['a PNG image', [0x89, 0x50, 0x4e, 0x47]],
  ['a JPEG image', [0xff, 0xd8, 0xff]],
  ['a GIF image', [0x47, 0x49, 0x46, 0x38]],
  ['a program (ELF)', [0x7f, 0x45, 0x4c, 0x46]],
  ['a program (Windows)', [0x4d, 0x5a, 0x90, 0x00]],
  ['an Excel 97 workbook (.xls)', [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]],
  ['a Zstandard archive', [0x28, 0xb5, 0x2f, 0xfd]],
  ['a bzip2 archive', [0x42, 0x5a, 0x68]],
  ['an xz archive', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['a 7z archive', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]],
  ['a RAR archive', [0x52, 0x61, 0x72, 0x21, 0x1a, 0x07]],
  ['a tar archive', [0x75, 0x73, 0x74, 0x61, 0x72], 257],
  ['an SQLite database', [0x53, 0x51, 0x4c, 0x69, 0x74, 0x65, 0x20, 0x66]],
  ['an Avro file', [0x4f, 0x62, 0x6a, 0x01]],
  ['an ORC file', [0x4f, 0x52, 0x43, 0x11]],
  ['UTF-32 text', [0xff, 0xfe, 0x00, 0x00]],
  ['UTF-32 text', [0x00, 0x00, 0xfe, 0xff]],
]

const startsWith = (bytes: Uint8Array, prefix: readonly number[], at = 0) =>
  bytes.length >= at + prefix.length && prefix.every((byte, i) => bytes[at + i] === byte)

/**
 * Recognises an original by its first bytes (a few kilobytes; 256 kB judge the encoding better). Pure, works in
 * a browser. `complete` says that these are all the bytes. The encoding comes from a sample unless
 * `encodingSure` (BOM, UTF-16); parsing with encoding `auto` looks at every byte.
 */
export function recogniseBytes(bytes: Uint8Array, complete = false): Recognition {
  if (bytes.length === 0) return { kind: 'empty' }
  if (startsWith(bytes, [0x1f, 0x8b])) return { kind: 'gzip' }
  for (const [found, signature, at] of SIGNATURES) {
    if (startsWith(bytes, signature, at)) return { kind: 'unsupported', found }
  }
  if (startsWith(bytes, [0x50, 0x4b, 0x03, 0x04]) || startsWith(bytes, [0x50, 0x4b, 0x05, 0x06])) {
    return { kind: 'unsupported', found: isWorkbook(bytes) ? 'an Excel workbook (.xlsx)' : 'a zip archive' }
  }
  return recogniseText(bytes, complete)
}

function recogniseText(bytes: Uint8Array, complete: boolean): Recognition {
  const text = (encoding: Encoding, encodingSure: boolean, bom: boolean): Recognition => ({
    kind: 'csv',
    encoding,
    encodingSure,
    bom,
  })
  if (startsWith(bytes, [0xff, 0xfe])) return text('utf-16le', true, true)
  if (startsWith(bytes, [0xfe, 0xff])) return text('utf-16be', true, true)
  if (startsWith(bytes, [0xef, 0xbb, 0xbf]))
    return bytes.length === 3 && complete ? { kind: 'empty' } : text('utf-8', true, true)
  const wide = utf16WithoutBom(bytes)
  if (wide) return text(wide, true, false)
  if (isBinary(bytes)) return { kind: 'unsupported', found: 'binary data' }
  const markup = markupFound(bytes)
  if (markup) return { kind: 'unsupported', found: markup }
  if (complete && bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)))
    return { kind: 'empty' }
  return text(guessOf(bytes, complete), false, false)
}

function guessOf(bytes: Uint8Array, complete: boolean): Encoding {
  const tally = { sequences: 0, invalid: 0 }
  tallyUtf8(bytes, 0, bytes.length, complete, tally)
  if (tally.invalid === 0) return 'utf-8'
  const census = createCensus()
  census.add(bytes)
  return guessEncoding(census.finish(complete)).encoding
}

// A workbook is a zip whose first entries are named so; the names stand in clear in the local headers.
function isWorkbook(bytes: Uint8Array): boolean {
  const names = String.fromCharCode(...bytes.subarray(0, 4096))
  return names.includes('[Content_Types].xml') || names.includes('xl/')
}

// Text of the Latin scripts in UTF-16 has a NUL in nearly every second place.
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

// A text may hold a stray NUL (its record is rejected); binary data is full of control bytes.
function isBinary(bytes: Uint8Array): boolean {
  let controls = 0
  for (const byte of bytes) if (byte < 0x09 || (byte > 0x0d && byte < 0x20)) controls++
  return controls >= 16 && controls > bytes.length * 0.04
}

function markupFound(bytes: Uint8Array): string | null {
  const head = String.fromCharCode(...bytes.subarray(0, 512)).trimStart()
  if (/^(<!doctype html|<html)/i.test(head)) return 'an HTML page'
  if (/^<\?xml/i.test(head)) return 'an XML document'
  if (/^(\{\s*"[^"]*"\s*:|\[\s*(\{|\[|"))/.test(head) && !/^\["[^"]*"\][;,\t|]/.test(head))
    return 'a JSON document'
  return null
}
