import {
  HEADER_WITHIN_LINES,
  type HeadView,
  headRows,
  isBetter,
  mostNames,
  namedRow,
  viewHead,
} from './head-view.ts'
import { narrowHeader, rivalOf, type SkippedLine, skippedLines } from './header-choice.ts'
import { normaliseName } from './header-name.ts'
import { type RowSource, readRow, type TextRow } from './row.ts'
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
    /** How many cells it has with the empty ones at its end. */
    width: number
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
 * each delimiter; `quotedLine` is set when a line is one quoted cell that holds known names; `elsewhere` is a row that names
 * columns under another delimiter than the declared one, or beyond the first lines. `ambiguous`: two rows may be the header.
 * `records_first`: lines before the header look as its records do.
 */
export type DialectResult =
  | { found: true; dialect: Dialect }
  | {
      found: false
      why: 'no_header'
      candidates: FoundRow[]
      quotedLine: FoundRow | null
      elsewhere: FoundRow | null
    }
  | { found: false; why: 'ambiguous'; rows: [FoundRow, FoundRow] }
  | { found: false; why: 'records_first'; header: FoundRow; lines: SkippedLine[] }

const DELIMITERS = [';', ',', '\t', '|'] as const
/** A header that stands too far below is only looked for to tell of it. */
const LATE_HEADER_LINES = 1000

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
  const sourceOf = (delimiter: string): RowSource => ({
    head,
    encoding,
    complete,
    delimiter: delimiter.charCodeAt(0),
    quote: quote?.charCodeAt(0) ?? -1,
  })
  const views = delimiters.map((delimiter) => viewHead(sourceOf(delimiter), delimiter, known))
  const best = views.reduce((a, b) => (isBetter(b, a) ? b : a))
  if (!best.header) {
    const candidates = views.flatMap(({ delimiter, widest }) => (widest ? [found(widest, delimiter)] : []))
    const elsewhere = namesElsewhere(sourceOf, hints.delimiter, known)
    return { found: false, why: 'no_header', candidates, quotedLine: quotedLine(views, known), elsewhere }
  }
  const { header, delimiter, rows } = best
  const chosen = { header, rows, records: best.records }
  const rival = rivalUnder(best, views)
  if (rival) {
    const [first, second] = [rival, found(header, delimiter)].sort((a, b) => a.line - b.line)
    if (first && second) return { found: false, why: 'ambiguous', rows: [first, second] }
  }
  const preamble = skippedLines(chosen, head, encoding)
  const lines = preamble.filter(({ kind }) => kind === 'record')
  if (lines.length > 0) return { found: false, why: 'records_first', header: found(header, delimiter), lines }
  const { cells, line, matched, width, next, nextLine } = header
  const dialect = {
    ...{ delimiter, quote, header: { cells, line, matched, width } },
    ...{ lineEnd: lineEndAt(head, header.to), dataOffset: next, dataLine: nextLine },
    ...{ preamble, linesBefore: line - 1, lineEnds: lineEndsOf(head) },
  }
  return { found: true, dialect }
}

/** Another row that may be the header: under the same delimiter, or a header before it under another one. */
function rivalUnder(
  { header, rows, records, delimiter }: HeadView,
  views: readonly HeadView[],
): FoundRow | null {
  if (!header) return null
  const rival = rivalOf({ header, rows, records })
  if (rival) return found(rival, delimiter)
  for (const view of views) {
    if (view.delimiter === delimiter) continue
    const other = narrowHeader(view.rows.filter(({ line }) => line < header.line))
    if (other) return found(other, view.delimiter)
  }
  return null
}

/** A row that names columns where none was looked for: under another delimiter than the declared one, or further below. */
function namesElsewhere(
  sourceOf: (delimiter: string) => RowSource,
  declared: string | undefined,
  known: ReadonlySet<string>,
): FoundRow | null {
  const delimiters = declared === undefined ? DELIMITERS : [declared, ...DELIMITERS]
  const named = delimiters.flatMap((delimiter) => {
    const rows = headRows(sourceOf(delimiter), known, LATE_HEADER_LINES)
    const row = mostNames(rows.filter(({ line, cells, matched }) => isHeader(line, cells.length, matched)))
    return row ? [{ row, delimiter }] : []
  })
  const [first] = named.sort((a, b) => b.row.matched - a.row.matched)
  return first ? found(first.row, first.delimiter) : null
}

// Far below, a record may hold the name of a column.
function isHeader(line: number, cells: number, matched: number): boolean {
  return line <= HEADER_WITHIN_LINES ? matched > 0 : matched > 1 || (matched === 1 && cells === 1)
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
