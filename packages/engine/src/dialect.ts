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

/** What the caller knows about the file in advance. */
export interface DialectHints {
  /** Names that a header may contain, in any spelling: columns and their aliases. */
  readonly knownNames: readonly string[]
  /** Declared delimiter. Without it, comma, semicolon, tab and bar are tried. */
  readonly delimiter?: string
  /** Declared quote; null if the file quotes nothing. Default `"`. */
  readonly quote?: string | null
}

/** A row found in the head of a file. */
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
    /** The cells as written, without empty ones at the end of the row. */
    cells: string[]
    line: number
    /** Number of different known names found. */
    matched: number
    /** Number of cells, including empty ones at the end. */
    width: number
  }
  /** How the header's line ends; `none` at the end of the file. */
  lineEnd: 'lf' | 'crlf' | 'cr' | 'none'
  /** Offset of the first byte after the header row, in the unpacked bytes, and its physical line. */
  dataOffset: number
  dataLine: number
  /** Lines before the header that are not blank (titles, the date of an export). They are skipped; they are not records. */
  preamble: SkippedLine[]
  /** Number of lines before the header, including blank ones. */
  linesBefore: number
  lineEnds: LineEnds
}

/**
 * The dialect, or why it was not found. `no_header`: no row has a known name; `candidates` are the likeliest headers
 * under each delimiter; `quotedLine` is set if a line is one quoted cell that contains known names; `elsewhere` is a
 * row that names columns under another delimiter than the declared one, or after the first lines. `ambiguous`: two rows
 * may be the header. `records_first`: lines before the header look like its records.
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
/** A header this far down is looked for only to report it. */
const LATE_HEADER_LINES = 1000

/**
 * Detects delimiter and header in the head of a file (unpacked bytes, from offset 0; `complete` if that is the whole
 * file). The header is the first of the first 20 lines with the most known names. The delimiter under which it has the
 * most is chosen; among equals the one under which the following rows are as wide as the header; then the one that
 * occurs.
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

/** Returns another row that may be the header: under the same delimiter, or before the header under another one. */
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

/** Returns a row that names columns outside of the search: under another delimiter than the declared one, or further down. */
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

// Far down, a record may contain the name of a column.
function isHeader(line: number, cells: number, matched: number): boolean {
  return line <= HEADER_WITHIN_LINES ? matched > 0 : matched > 1 || (matched === 1 && cells === 1)
}

/** Returns the first line that is one quoted cell whose text contains known names when read as a line. */
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
