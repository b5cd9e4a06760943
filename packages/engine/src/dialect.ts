import { cleanCode } from '@aduana/contracts/characters'
import { type NamedRow, rivalOf, type SkippedLine, skippedLines } from './header-choice.ts'
import { afterLine, type RowSource, readRow, type TextRow } from './row.ts'
import { endOfContent } from './scan/padding.ts'
import type { ByteEncoding } from './text.ts'

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
  /** How the header's line ends; `none` at the end of the file. */
  lineEnd: 'lf' | 'crlf' | 'cr' | 'none'
  /** Offset of the first byte after the header row, in the unpacked bytes, and its physical line. */
  dataOffset: number
  dataLine: number
  /** Lines before the header that are not blank (titles, the date of an export): skipped, not records. */
  preamble: SkippedLine[]
  /** Lines before the header, blank ones too. */
  linesBefore: number
  lineEnds: LineEnds
}

/**
 * The dialect; or why there is none. `no_header`: no row holds a known name; `candidates` are the likeliest headers under
 * each delimiter, and `quotedLine` is set when a line is one quoted cell that holds known names. `ambiguous`: two rows may
 * be the header.
 */
export type DialectResult =
  | { found: true; dialect: Dialect }
  | { found: false; why: 'no_header'; candidates: FoundRow[]; quotedLine: FoundRow | null }
  | { found: false; why: 'ambiguous'; rows: [FoundRow, FoundRow] }

const DELIMITERS = [';', ',', '\t', '|'] as const
const HEADER_WITHIN_LINES = 20
const ROWS_COMPARED = 50

/**
 * The form in which header names are compared: no case, no accents, no invisible characters, `_` for every run of other
 * signs. `Peso Neto (kg) ` becomes `peso_neto_kg`.
 */
export function normaliseName(name: string): string {
  return cleanCode(name)
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .replace(/^_+|_+$/g, '')
}

/**
 * Finds delimiter and header in the head of a file (unpacked bytes, from offset 0; `complete` when it is all). The header is
 * the first row among the first 20 lines that holds the most known names. The delimiter under which it holds the most
 * wins; among equals the one under which the rows that follow are as wide as the header; then the one that occurs.
 */
export function detectDialect(
  bytes: Uint8Array,
  encoding: ByteEncoding,
  complete: boolean,
  hints: DialectHints,
): DialectResult {
  const known = new Set(hints.knownNames.map(normaliseName).filter((name) => name !== ''))
  const quote = hints.quote === undefined ? '"' : hints.quote
  const head = bytes.subarray(0, endOfContent(bytes))
  const delimiters = hints.delimiter === undefined ? DELIMITERS : [hints.delimiter]
  const views = delimiters.map((delimiter) => {
    const source = {
      head,
      encoding,
      complete,
      delimiter: delimiter.charCodeAt(0),
      quote: quote?.charCodeAt(0) ?? -1,
    }
    return viewHead(source, delimiter, known)
  })
  const best = views.reduce((a, b) => (isBetter(b, a) ? b : a))
  if (!best.header) {
    const candidates = views.flatMap(({ delimiter, widest }) => (widest ? [found(widest, delimiter)] : []))
    return { found: false, why: 'no_header', candidates, quotedLine: quotedLine(views, known) }
  }
  const { header, delimiter, rows } = best
  const rival = rivalOf(header, rows)
  if (rival) {
    const [first, second] = [rival, header]
      .sort((a, b) => a.line - b.line)
      .map((row) => found(row, delimiter))
    if (first && second) return { found: false, why: 'ambiguous', rows: [first, second] }
  }
  const { cells, line, matched, next, nextLine } = header
  const dialect = {
    ...{ delimiter, quote, header: { cells, line, matched } },
    ...{ lineEnd: lineEndAt(head, header.to), dataOffset: next, dataLine: nextLine },
    ...{
      preamble: skippedLines(header, rows, head, encoding),
      linesBefore: line - 1,
      lineEnds: lineEndsOf(head),
    },
  }
  return { found: true, dialect }
}

/** The head of a file under one delimiter. */
interface HeadView {
  delimiter: string
  source: RowSource
  /** The rows among the first lines that hold something. */
  rows: NamedRow[]
  /** The first one with the most known names; null when none has any. */
  header: NamedRow | null
  widest: NamedRow | null
  /** The share of the rows after the header that are as wide as it is, 0 to 1. */
  fit: number
  /** The delimiter stands in the header, or in every row after it. */
  occurs: boolean
}

function viewHead(source: RowSource, delimiter: string, known: ReadonlySet<string>): HeadView {
  const rows = headRows(source, known)
  const widest = rows.reduce<NamedRow | null>((a, b) => (a && a.cells.length >= b.cells.length ? a : b), null)
  const most = rows.reduce<NamedRow | null>((a, b) => (a && a.matched >= b.matched ? a : b), null)
  const header = most && most.matched > 0 ? most : null
  return {
    delimiter,
    source,
    rows,
    header,
    widest,
    ...(header ? followed(source, header) : { fit: 0, occurs: false }),
  }
}

function isBetter(a: HeadView, b: HeadView): boolean {
  const matched = (a.header?.matched ?? 0) - (b.header?.matched ?? 0)
  if (matched !== 0) return matched > 0
  if (a.fit !== b.fit) return a.fit > b.fit
  return a.occurs && !b.occurs
}

// Every physical line near the top is tried as a row: a title may hold a stray quote.
function headRows(source: RowSource, known: ReadonlySet<string>): NamedRow[] {
  const { head } = source
  const rows: NamedRow[] = []
  let at = 0
  for (let line = 1; line <= HEADER_WITHIN_LINES && at < head.length; line++) {
    const row = readRow(source, at, line)
    if (row?.cells.some((cell) => cell.trim() !== '')) rows.push(namedRow(row, known))
    at = afterLine(head, at)
  }
  return rows
}

function namedRow(row: TextRow, known: ReadonlySet<string>): NamedRow {
  return { ...row, matched: new Set(row.cells.map(normaliseName).filter((name) => known.has(name))).size }
}

// How the rows after the header look: whether they are as wide, and whether the delimiter occurs in all of them.
function followed(source: RowSource, header: NamedRow): { fit: number; occurs: boolean } {
  let at = header.next
  let rows = 0
  let equal = 0
  let delimited = 0
  while (rows < ROWS_COMPARED && at < source.head.length) {
    const row = readRow(source, at, 0)
    at = row ? row.next : afterLine(source.head, at)
    if (row?.cells.every((cell) => cell.trim() === '')) continue
    rows++
    if (row?.cells.length === header.cells.length) equal++
    if (row && row.width > 1) delimited++
  }
  return { fit: rows === 0 ? 0 : equal / rows, occurs: header.width > 1 || (rows > 0 && delimited === rows) }
}

/** The first line that is one quoted cell whose text holds known names when it is read as a line of its own. */
function quotedLine(views: readonly HeadView[], known: ReadonlySet<string>): FoundRow | null {
  for (const { source, rows, delimiter } of views)
    for (const { cells, quoted, width, line } of rows) {
      if (!quoted || width !== 1) continue
      const inner = {
        ...source,
        head: Buffer.from(cells[0] ?? ''),
        encoding: 'utf-8' as const,
        complete: true,
      }
      const row = readRow(inner, 0, line)
      const named = row && row.cells.length > 1 ? namedRow(row, known) : null
      if (named && named.matched > 0) return found(named, delimiter)
    }
  return null
}

function found({ line, cells }: TextRow, delimiter: string): FoundRow {
  return { delimiter, line, cells }
}

function lineEndAt(bytes: Uint8Array, at: number): Dialect['lineEnd'] {
  if (at >= bytes.length) return 'none'
  if (bytes[at] === 0x0a) return 'lf'
  return bytes[at + 1] === 0x0a ? 'crlf' : 'cr'
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
