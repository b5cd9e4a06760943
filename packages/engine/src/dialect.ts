import { type ByteEncoding, decodeText } from './text.ts'

/** What the caller knows of the file before it is looked at. */
export interface DialectHints {
  /** Names a header may hold, in any spelling: columns and their aliases. */
  readonly knownNames: readonly string[]
  /** Declared delimiter; without it, comma, semicolon, tab and bar compete. */
  readonly delimiter?: string
  /** Declared quote; null: the file quotes nothing. Default `"`. */
  readonly quote?: string | null
}

/** A row as it was found in the head of a file. */
export interface FoundRow {
  delimiter: string
  /** Physical line, from 1. */
  line: number
  cells: string[]
}

export type LineEnds = 'lf' | 'crlf' | 'cr' | 'mixed' | 'none'

/** How a file is written, and where its records begin. */
export interface Dialect {
  delimiter: string
  quote: string | null
  header: {
    /** The cells as they stand, without empty ones at the end of the row. */
    cells: string[]
    line: number
    /** How many different known names were found. */
    matched: number
  }
  /** Offset of the first byte after the header row, in the unpacked bytes, and its physical line. */
  dataOffset: number
  dataLine: number
  /** Lines before the header (titles, blank lines): skipped, not records. */
  preamble: number
  lineEnds: LineEnds
}

/** The dialect, or, when no row holds a known name, the likeliest header under each delimiter. */
export type DialectResult = { found: true; dialect: Dialect } | { found: false; candidates: FoundRow[] }

const DELIMITERS = [';', ',', '\t', '|'] as const
const HEADER_WITHIN_LINES = 20
const ROWS_COMPARED = 50

/**
 * The form in which header names are compared: no case, no accents, `_` for every run of other signs. `Peso Neto (kg) `
 * becomes `peso_neto_kg`.
 */
export function normaliseName(name: string): string {
  return name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .replace(/^_+|_+$/g, '')
}

/**
 * Finds delimiter and header in the head of a file (unpacked bytes, from offset 0; `complete` when it is all).
 * The header is the row among the first 20 lines that holds the most known names; the delimiter under which it
 * does so wins, and among equals the one under which the rows that follow have as many columns as the header.
 */
export function detectDialect(
  head: Uint8Array,
  encoding: ByteEncoding,
  complete: boolean,
  hints: DialectHints,
): DialectResult {
  const known = new Set(hints.knownNames.map(normaliseName).filter((name) => name !== ''))
  const quote = hints.quote === undefined ? '"' : hints.quote
  const candidates: FoundRow[] = []
  let best: { score: number; fit: number; row: HeadRow; delimiter: string } | null = null
  for (const delimiter of hints.delimiter === undefined ? DELIMITERS : [hints.delimiter]) {
    const reader = {
      head,
      encoding,
      complete,
      delimiter: delimiter.charCodeAt(0),
      quote: quote?.charCodeAt(0) ?? -1,
    }
    const rows = headRows(reader)
    const likeliest = rows.reduce<HeadRow | null>(
      (a, b) => (a && a.cells.length >= b.cells.length ? a : b),
      null,
    )
    if (likeliest) candidates.push({ delimiter, line: likeliest.line, cells: likeliest.cells })
    for (const row of rows) {
      const score = new Set(row.cells.map(normaliseName).filter((name) => known.has(name))).size
      if (score === 0 || (best && score < best.score)) continue
      const fit = shareOfEqualRows(reader, row)
      if (!best || score > best.score || (best.delimiter !== delimiter && fit > best.fit))
        best = { score, fit, row, delimiter }
    }
  }
  if (!best) return { found: false, candidates }
  const { row, score, delimiter } = best
  const header = { cells: row.cells, line: row.line, matched: score }
  const place = {
    dataOffset: row.next,
    dataLine: row.nextLine,
    preamble: row.line - 1,
    lineEnds: lineEndsOf(head),
  }
  return { found: true, dialect: { delimiter, quote, header, ...place } }
}

interface HeadReader {
  readonly head: Uint8Array
  readonly encoding: ByteEncoding
  readonly complete: boolean
  readonly delimiter: number
  readonly quote: number
}

interface HeadRow {
  cells: string[]
  line: number
  /** Offset and line after the row. */
  next: number
  nextLine: number
}

// Every physical line near the top is tried as a row: a title may hold a stray quote.
function headRows(reader: HeadReader): HeadRow[] {
  const { head } = reader
  const rows: HeadRow[] = []
  let at = head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0
  for (let line = 1; line <= HEADER_WITHIN_LINES && at < head.length; line++) {
    const row = readRow(reader, at, line)
    if (row?.cells.some((cell) => cell.trim() !== '')) rows.push(row)
    at = afterLine(head, at)
  }
  return rows
}

function readRow(reader: HeadReader, start: number, line: number): HeadRow | null {
  const { head, encoding, delimiter, quote } = reader
  const cells: string[] = []
  let cell: number[] = []
  let lines = 0
  let state: 'start' | 'text' | 'quoted' | 'closed' = 'start'
  let at = start
  for (; at < head.length; at++) {
    const byte = head[at] ?? 0
    const eol = byte === 0x0a || byte === 0x0d
    if (state === 'quoted') {
      if (byte === quote) state = 'closed'
      else cell.push(byte)
      if (eol && (byte === 0x0d || head[at - 1] !== 0x0d)) lines++
    } else if (eol) break
    else if (byte === delimiter) {
      cells.push(decodeText(Uint8Array.from(cell), encoding))
      cell = []
      state = 'start'
    } else if (byte === quote && state !== 'text') {
      if (state === 'closed') cell.push(byte)
      state = 'quoted'
    } else if (state === 'closed') return null
    else {
      cell.push(byte)
      state = 'text'
    }
  }
  if (state === 'quoted' || (at === head.length && !reader.complete)) return null
  cells.push(decodeText(Uint8Array.from(cell), encoding))
  while (cells.length > 1 && cells.at(-1)?.trim() === '') cells.pop()
  return { cells, line, next: afterLine(head, at), nextLine: line + lines + 1 }
}

// The share of the rows after the header that are as wide as it is.
function shareOfEqualRows(reader: HeadReader, header: HeadRow): number {
  let at = header.next
  let rows = 0
  let equal = 0
  while (rows < ROWS_COMPARED && at < reader.head.length) {
    const row = readRow(reader, at, 0)
    const blank = row !== null && row.cells.length === 1 && row.cells[0]?.trim() === ''
    if (!blank) rows++
    if (row && !blank && row.cells.length === header.cells.length) equal++
    at = row ? row.next : afterLine(reader.head, at)
  }
  return rows === 0 ? 0 : equal / rows
}

function afterLine(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++
  if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at++
  return Math.min(at + 1, bytes.length)
}

function lineEndsOf(bytes: Uint8Array): LineEnds {
  const seen = new Set<LineEnds>()
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0x0a) seen.add('lf')
    else if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) {
      seen.add('crlf')
      at++
    } else if (bytes[at] === 0x0d && at + 1 < bytes.length) seen.add('cr')
  }
  const [only = 'none'] = seen
  return seen.size > 1 ? 'mixed' : only
}
