import { isUtf8 } from 'node:buffer'
import { normaliseName } from '../header-name.ts'
import { BOM } from '../marks.ts'
import type { ScanOptions } from '../scan/options.ts'
import { decodeText } from '../text.ts'

/** A record as read by the naive reader. */
export interface NaiveRecord {
  record: number
  line: number
  offset: number
  length: number
  fields?: string[]
  codes?: string[]
}

/** The result of the naive reader for a text. */
export interface NaiveText {
  records: NaiveRecord[]
  /** The positions of lines and records without any value. */
  skipped: { offset: number; length: number }[]
  /** Offset of the padding at the end. */
  content: number
}

type Cell = { bytes: number[]; quoted: boolean }

interface NaiveReading {
  cells: Cell[]
  end: number
  lines: number
  textAfterQuote: boolean
}

interface Broken {
  broken: string
  firstEol: number
}

const BLANKS = [0x20, 0x09]

/**
 * Implements the scanner's rules again in the simplest form: all bytes are available, and one record after the other is
 * read from its start. It shares no code with the scanner and serves as its oracle.
 */
export function readNaively(all: Buffer, options: ScanOptions): NaiveText {
  const maxRecord = options.maxRecordBytes ?? 1 << 20
  const decisive = Math.max(maxRecord, options.maxRawBytes ?? 8 << 10) + 4
  const expected = options.expectedColumns
  const delimiter = options.delimiter.charCodeAt(0)
  const quote = options.quote?.charCodeAt(0) ?? -1
  const tail = all.subarray(options.startOffset).toString('latin1')
  const pads = [...tail].reverse().findIndex((sign) => !'\0\x1a\r\n \t'.includes(sign))
  const after = [...tail.slice(pads < 0 ? 0 : tail.length - pads)]
  const begin = after.findIndex((sign) => sign === '\0' || sign === '\x1a')
  const content = begin < 0 ? all.length : all.length - after.length + begin
  const bytes = all.subarray(0, content)

  const isEol = (at: number) => bytes[at] === 10 || bytes[at] === 13
  const isBlank = (byte: number) => BLANKS.includes(byte) && byte !== delimiter
  const nbsp = options.encoding === 'utf-8' ? Buffer.from('\u00a0') : Buffer.from([0xa0])
  const isSpace = (at: number) => bytes.subarray(at, at + nbsp.length).equals(nbsp)
  // The bytes of the blank at `at`; 0 if there is none.
  const blankAt = (at: number) => (isBlank(bytes[at] ?? 0) ? 1 : isSpace(at) ? nbsp.length : 0)
  const isBom = (at: number) => bytes.subarray(at, at + 3).equals(Buffer.from('\ufeff'))
  const eolFrom = (at: number) => {
    let i = at
    while (i < bytes.length && !isEol(i)) i++
    return i
  }
  const afterEol = (at: number) =>
    bytes[at] === 13 && bytes[at + 1] === 10 ? at + 2 : Math.min(at + 1, bytes.length)
  const eolKind = (at: number) => bytes.subarray(at, afterEol(at)).toString()
  const hasValue = ({ bytes: cell }: Cell) =>
    decodeText(Buffer.from(cell), options.encoding).replace(/[ \t\r\n\u00a0]/g, '') !== ''
  const opensField = (closing: number) => {
    let at = closing
    while (at > 0 && (isBlank(bytes[at - 1] ?? 0) || (at >= nbsp.length && isSpace(at - nbsp.length))))
      at -= isBlank(bytes[at - 1] ?? 0) ? 1 : nbsp.length
    return isEol(at - 1) || bytes[at - 1] === delimiter
  }

  const readOne = (from: number, to = bytes.length): NaiveReading | Broken => {
    const cells: Cell[] = [{ bytes: [], quoted: false }]
    let place: 'start' | 'text' | 'quoted' | 'quote' | 'after' = 'start'
    let lines = 0
    let firstEol = -1
    let spans = false
    let closing = -1
    let textAfterQuote = false
    const end = () => (firstEol < 0 ? eolFrom(from) : firstEol)
    let p = from
    for (; p < to && p - from <= maxRecord; p++) {
      const byte = bytes[p] ?? 0
      const cell = cells[cells.length - 1] as Cell
      if (place === 'quoted') {
        if (byte === quote) {
          place = 'quote'
          closing = p
          continue
        }
        cell.bytes.push(byte)
        // Its second byte may be beyond the limit of a record.
        if (isSpace(p)) for (let more = 1; more < nbsp.length; more++) cell.bytes.push(bytes[++p] ?? 0)
        if (!isEol(p)) continue
        spans = true
        if (firstEol < 0) firstEol = p
        if (byte === 13 || bytes[p - 1] !== 13) lines++
      } else if (isEol(p)) break
      else if (byte === delimiter) {
        cells.push({ bytes: [], quoted: false })
        place = 'start'
      } else if (byte === quote && place === 'quote') {
        cell.bytes.push(byte)
        place = 'quoted'
      } else if (byte === quote && place === 'start') {
        cell.bytes = []
        cell.quoted = true
        place = 'quoted'
        spans = false
      } else if (place === 'start' && isBom(p)) p += 2
      else if (blankAt(p) > 0) {
        if (place === 'quote') place = 'after'
        if (place !== 'after') cell.bytes.push(...bytes.subarray(p, p + blankAt(p)))
        p += blankAt(p) - 1
      } else {
        if (place === 'quote' || place === 'after') {
          if (spans && opensField(closing)) return { broken: 'unterminated_quote', firstEol: end() }
          textAfterQuote = true
        }
        cell.bytes.push(byte)
        place = 'text'
      }
    }
    if (p - from > maxRecord) {
      const code = place === 'quoted' && firstEol >= 0 ? 'unterminated_quote' : 'record_too_long'
      return { broken: code, firstEol: end() }
    }
    if (place === 'quoted') return { broken: 'unterminated_quote', firstEol: end() }
    return { cells, end: p, lines, textAfterQuote }
  }

  // Reads a line by itself: its number of columns, 0 without any value, -1 if a quote stays open.
  const columnsOfLine = (from: number): number => {
    const eol = eolFrom(from)
    let columns = 1
    let filled = false
    let place: 'start' | 'text' | 'quoted' | 'quote' | 'after' = 'start'
    for (let p = from; p < eol; p++) {
      const byte = bytes[p] ?? 0
      if (place === 'quoted') {
        if (byte === quote) place = 'quote'
        else if (isSpace(p)) p += nbsp.length - 1
        else if (!BLANKS.includes(byte)) filled = true
      } else if (byte === delimiter) {
        columns++
        place = 'start'
      } else if (byte === quote && place === 'quote') {
        place = 'quoted'
        filled = true
      } else if (byte === quote && place === 'start') place = 'quoted'
      else if (place === 'start' && isBom(p) && p + 2 < eol) p += 2
      else if (blankAt(p) > 0) {
        if (place === 'quote') place = 'after'
        p += blankAt(p) - 1
      } else {
        place = 'text'
        filled = true
      }
    }
    return place === 'quoted' ? -1 : filled ? columns : 0
  }

  // The columns and line end of the line at `next`, as far as the lookahead from a record at `from` reaches.
  const lookAhead = (from: number, next: number): { columns: number; end: string } => {
    const eol = eolFrom(next)
    if (eol + 1 >= from + decisive) return { columns: -1, end: '' }
    return { columns: columnsOfLine(next), end: eolKind(eol) }
  }

  const names = new Map(Object.entries(options.header?.names ?? {}))
  const headerCells = (options.header?.cells ?? []).map(normaliseName)
  const markAtStart = new RegExp(`^(${decodeText(Buffer.from(BOM), options.encoding)})+`)
  const headerKind = (cells: readonly string[]): 'same' | 'other' | null => {
    if (!options.header) return null
    const found = cells.map((cell) => normaliseName(cell))
    while (found.length > 1 && cells[found.length - 1]?.trim() === '') found.pop()
    const filled = found.filter((name) => name !== '')
    // Accents are compared in all cells except the first.
    const signs = cells
      .flatMap((cell) => cell.split(options.delimiter))
      .map((cell) => cell.replace(/[^a-z0-9\x80-\uffff]|\u00a0/gi, '').replace(markAtStart, ''))
    const first = signs.find((cell) => cell !== '')?.toLowerCase() ?? ''
    if (!names.has(first) && !headerCells.includes(first)) return null
    const columnOf = (name = '') => names.get(name) ?? `?${name}`
    const means = (name: string, at: number) =>
      name === headerCells[at] || (filled.length > 1 && columnOf(name) === columnOf(headerCells[at]))
    if (found.length === headerCells.length && found.every(means)) return 'same'
    const known = new Set(filled.filter((name) => names.has(name)).map(columnOf))
    const all = filled.every((name) => names.has(name) || headerCells.includes(name))
    const once = new Set(filled).size === filled.length
    return all && once && known.size > 1 && known.size * 2 >= headerCells.length ? 'other' : null
  }

  const records: NaiveRecord[] = []
  const skipped: NaiveText['skipped'] = []
  let usualEnd = options.lineEnd === undefined ? '' : { lf: '\n', crlf: '\r\n', cr: '\r' }[options.lineEnd]
  let secondHalf = -1
  let line = options.startLine
  let start = options.startOffset
  while (start < bytes.length) {
    const eol = eolFrom(start)
    if (eol - start <= maxRecord && [...bytes.subarray(start, eol)].every(isBlank)) {
      skipped.push({ offset: start, length: eol - start })
      line++
      start = afterEol(eol)
      continue
    }
    const record = records.length + 1
    const got = readOne(start)
    if ('broken' in got) {
      const place = { offset: start, length: got.firstEol - start }
      records.push({ record, line, ...place, codes: [got.broken] })
      line++
      start = afterEol(got.firstEol)
      continue
    }
    const next = afterEol(got.end)
    const place = { offset: start, length: got.end - start }
    if (got.cells.some(hasValue)) {
      const end = eolKind(got.end)
      const ahead = lookAhead(start, next)
      const unusual = usualEnd !== '' && end !== '' && end !== usualEnd
      const columns = got.cells.length
      const isRest = ahead.columns > 0 && ahead.columns < expected
      const halves = columns < expected && columns + ahead.columns - 1 === expected
      const broken = isRest && (unusual || halves)
      const texts = got.cells.map((cell) => decodeText(Buffer.from(cell.bytes), options.encoding))
      const codes: string[] = []
      const kind = got.textAfterQuote ? null : headerKind(texts)
      if (kind) codes.push('repeated_header')
      if (got.textAfterQuote) codes.push('text_after_quote')
      if (columns < expected) codes.push('missing_columns')
      else if (got.cells.slice(expected).some(hasValue)) codes.push('too_many_columns')
      if (broken) codes.push('broken_line')
      if (secondHalf === start) codes.push('broken_line')
      const forbidden = (b: number) => b === 0 || (b >= 29 && b <= 31)
      if (got.cells.some((cell) => cell.bytes.some(forbidden))) codes.push('control_character')
      if (options.encoding === 'utf-8' && !isUtf8(bytes.subarray(start, got.end))) codes.push('invalid_utf8')
      records.push({
        ...{ record, line, ...place },
        ...(codes.length > 0 ? { codes } : { fields: options.columns.map((c) => texts[c] ?? '') }),
      })
      if (codes.length === 0 && unusual && ahead.columns >= expected && ahead.end === end) usualEnd = end
      secondHalf = broken ? next : -1
    } else skipped.push(place)
    line += 1 + got.lines
    start = next
  }
  return { records, skipped, content }
}

/** Returns the bytes outside of records, skipped lines and padding, without line ends. */
export function leftOver(bytes: Buffer, { records, skipped, content }: NaiveText, start = 0): string {
  const rest = Buffer.from(bytes.subarray(0, content))
  for (const { offset, length } of [...records, ...skipped]) rest.fill('\n', offset, offset + length)
  return rest
    .subarray(start)
    .toString('latin1')
    .replace(/[\r\n]/g, '')
}
