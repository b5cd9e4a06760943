import { CODE_POINTS, type CodePage } from '../encoding/code-pages.ts'
import { EngineError } from '../errors.ts'
import { BOM, isSpace, noBreakSpace } from '../marks.ts'
import type { ByteEncoding } from '../text.ts'
import { compileHeader, type HeaderMatcher, type HeaderNames } from './header-rows.ts'

/** What the scanner must know about a text. All positions refer to the unpacked byte stream. */
export interface ScanOptions {
  /** One ASCII character. */
  readonly delimiter: string
  /** One ASCII character, or null if the file quotes nothing. */
  readonly quote: string | null
  /** Number of columns that a record must have: the header's, without empty ones at its end. */
  readonly expectedColumns: number
  /** Which columns of the file to write, by index from 0, in the order of the file. */
  readonly columns: readonly number[]
  /** Indexes from 0 of the columns whose header cell is blank. The scan reports whether they have values. */
  readonly unnamed?: readonly number[]
  readonly encoding: ByteEncoding
  /** The encoding is a guess: stops with `undecided` at the first record that is not UTF-8. */
  readonly guessing?: boolean
  /** Offset of the byte after the header row. */
  readonly startOffset: number
  /** Physical line (from 1) of that byte. */
  readonly startLine: number
  /**
   * How the header's line ends. A record that ends differently may be half of a broken one; without it, this is not
   * checked.
   */
  readonly lineEnd?: 'lf' | 'crlf' | 'cr'
  /** The header, to recognise it if it is repeated. */
  readonly header?: HeaderNames
  readonly maxRecordBytes?: number
  /** Maximum number of bytes of a structural reject's text that are kept. */
  readonly maxRawBytes?: number
}

/** Classes of bytes: how the fast loop handles a byte. */
export const ORDINARY = 0
export const DELIMITER = 1
export const NEWLINE = 2
export const HIGH = 3
export const QUOTE = 4
const ODD = 5
/** The first byte of a byte order mark. */
export const MARK = 6

export const FIELD_END = 0x1f
export const LF = 0x0a
export const CR = 0x0d
export const LF_INSIDE = 0x1e
export const CR_INSIDE = 0x1d
/** The kinds of line ends; 0 is none, at the end of the file. */
export const NO_END = 0
export const LF_END = 1
export const CRLF_END = 2
export const CR_END = 3
export const WRITTEN = 1
export const UNNAMED = 2
const MAX_COLUMNS = 2000
export const MAX_RECORD_BYTES = 1 << 20
const MAX_RAW_BYTES = 8 << 10

/** `ScanOptions` in the form that the loops use. */
export interface Dialect {
  readonly delimiter: number
  /** -1 for no quoting. */
  readonly quote: number
  readonly expected: number
  /** `WRITTEN` for each column of the file that is written, `UNNAMED` for each other one without a name. */
  readonly wanted: Uint8Array
  readonly encoding: ByteEncoding
  /** How a code page's bytes from 0x80 on are written, see `highAsUtf8`; null for UTF-8, whose bytes are copied. */
  readonly asUtf8: Uint8Array | null
  readonly guessing: boolean
  readonly maxRecord: number
  readonly maxRaw: number
  /** With this many bytes available, every record can be decided. */
  readonly decisive: number
  /** Class of each byte outside quotes, if all high bytes are known to be valid. */
  readonly plain: Uint8Array
  /** The same inside quotes. */
  readonly quoted: Uint8Array
  /** The same two, with high bytes marked. */
  readonly plainHigh: Uint8Array
  readonly quotedHigh: Uint8Array
  /** 1 for a space and for a tab, unless they delimit. */
  readonly blanks: Uint8Array
  /** The bytes of a no-break space, which is also a blank. */
  readonly space: readonly number[]
  /** 1 for the bytes of a record without values: blanks, delimiters, quotes. */
  readonly voids: Uint8Array
  /** The line end of the header; `NO_END` if unknown. */
  readonly lineEnd: number
  readonly header: HeaderMatcher | null
}

/** Checks the options and derives the tables. Throws `bad_input` with the cause. */
export function compileDialect(options: ScanOptions): Dialect {
  const delimiter = asciiCode(options.delimiter, 'delimiter')
  const quote = options.quote === null ? -1 : asciiCode(options.quote, 'quote')
  if (delimiter === quote) throw new EngineError('bad_input', 'delimiter and quote are the same character')
  const expected = options.expectedColumns
  if (expected < 1 || expected > MAX_COLUMNS) {
    throw new EngineError('bad_input', `the header has ${expected} columns; 1 to ${MAX_COLUMNS} are possible`)
  }
  const wanted = new Uint8Array(expected)
  for (const index of options.columns) {
    if (index < 0 || index >= expected) throw new EngineError('bad_input', `there is no column ${index + 1}`)
    wanted[index] = WRITTEN
  }
  for (const index of options.unnamed ?? [])
    if (index < expected && wanted[index] === 0) wanted[index] = UNNAMED
  const maxRecord = options.maxRecordBytes ?? MAX_RECORD_BYTES
  const maxRaw = options.maxRawBytes ?? MAX_RAW_BYTES
  const space = noBreakSpace(options.encoding)
  return {
    delimiter,
    quote,
    space,
    expected,
    wanted,
    encoding: options.encoding,
    asUtf8: options.encoding === 'utf-8' ? null : AS_UTF8[options.encoding],
    guessing: options.guessing ?? false,
    maxRecord,
    maxRaw,
    decisive: Math.max(maxRecord, maxRaw) + 4,
    plain: plainClasses(delimiter, quote, false),
    quoted: quotedClasses(quote, false),
    plainHigh: plainClasses(delimiter, quote, true),
    quotedHigh: quotedClasses(quote, true),
    blanks: blankBytes(delimiter),
    voids: voidBytes(delimiter, quote, space),
    lineEnd: options.lineEnd === undefined ? NO_END : LINE_ENDS[options.lineEnd],
    header: options.header ? compileHeader(options.header, options.encoding, delimiter) : null,
  }
}

const LINE_ENDS = { lf: LF_END, crlf: CRLF_END, cr: CR_END }

function asciiCode(text: string, what: string): number {
  const code = text.charCodeAt(0)
  if (text.length !== 1 || code > 0x7e || (code < 0x20 && code !== 0x09)) {
    throw new EngineError('bad_input', `the ${what} must be one printable ASCII character or a tab`)
  }
  return code
}

/**
 * Returns true for bytes that a record must not contain: NUL, which PostgreSQL rejects, and the three that the
 * canonical file uses.
 */
export function isForbidden(byte: number): boolean {
  return byte === 0 || (byte >= 0x1d && byte <= 0x1f)
}

function baseClasses(high: boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    isForbidden(byte) ? ODD : byte >= 0x80 && high ? HIGH : ORDINARY,
  )
}

function plainClasses(delimiter: number, quote: number, high: boolean): Uint8Array {
  const classes = baseClasses(high)
  classes[LF] = NEWLINE
  classes[CR] = NEWLINE
  if (quote >= 0) classes[quote] = QUOTE
  classes[BOM[0]] = MARK
  classes[delimiter] = DELIMITER
  return classes
}

// The careful parser handles newlines inside quotes.
function quotedClasses(quote: number, high: boolean): Uint8Array {
  const classes = baseClasses(high)
  classes[LF] = ODD
  classes[CR] = ODD
  if (quote >= 0) classes[quote] = QUOTE
  return classes
}

/** Returns the length in bytes of the blank at `at`; 0 if there is none. */
export function blankAt(bytes: Uint8Array, at: number, end: number, { blanks, space }: Dialect): number {
  if (blanks[bytes[at] as number] === 1) return 1
  return isSpace(bytes, at, end, space) ? space.length : 0
}

function blankBytes(delimiter: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    (byte === 0x20 || byte === 0x09) && byte !== delimiter ? 1 : 0,
  )
}

function voidBytes(delimiter: number, quote: number, space: readonly number[]): Uint8Array {
  const bytes = blankBytes(delimiter)
  for (const byte of space) bytes[byte] = 1
  bytes[delimiter] = 1
  if (quote >= 0) bytes[quote] = 1
  return bytes
}

const AS_UTF8: Readonly<Record<CodePage, Uint8Array>> = {
  'windows-1252': highAsUtf8('windows-1252'),
  macintosh: highAsUtf8('macintosh'),
  ibm850: highAsUtf8('ibm850'),
  ibm437: highAsUtf8('ibm437'),
}

/** Returns the UTF-8 of each byte of a code page from 0x80 on: four bytes each, the first of which is the length. */
function highAsUtf8(page: CodePage): Uint8Array {
  const table = new Uint8Array(256 * 4)
  for (let byte = 0x80; byte < 256; byte++) {
    const encoded = new TextEncoder().encode(String.fromCharCode(CODE_POINTS[page][byte] ?? 0))
    table[byte * 4] = encoded.length
    table.set(encoded, byte * 4 + 1)
  }
  return table
}
