import { isUtf8 } from 'node:buffer'
import { decodeText } from '../text.ts'
import type { ScanOptions } from './options.ts'

/** A record as the naive reader sees it. */
export interface NaiveRecord {
  record: number
  line: number
  offset: number
  length: number
  fields?: string[]
  codes?: string[]
}

/**
 * The scanner's rules once more, in the plainest form: all bytes at hand, one record after the other, each read
 * from its start. It shares no code with the scanner and serves as its oracle.
 */
export function readNaively(
  bytes: Buffer,
  options: ScanOptions,
): { records: NaiveRecord[]; skipped: number } {
  const maxRecord = options.maxRecordBytes ?? 1 << 20
  const delimiter = options.delimiter.charCodeAt(0)
  const quote = options.quote?.charCodeAt(0) ?? -1
  const isEol = (at: number) => bytes[at] === 10 || bytes[at] === 13
  const eolFrom = (at: number) => {
    let i = at
    while (i < bytes.length && !isEol(i)) i++
    return i
  }
  const afterEol = (at: number) =>
    bytes[at] === 13 && bytes[at + 1] === 10 ? at + 2 : Math.min(at + 1, bytes.length)
  const records: NaiveRecord[] = []
  let skipped = 0
  let swallowedTo = -1
  let line = options.startLine
  let start = options.startOffset

  const readOne = (from: number) => {
    const fields: number[][] = [[]]
    let quoted = false
    let closed = false
    let lines = 0
    let firstEol = -1
    let p = from
    for (; p < bytes.length; p++) {
      if (p - from > maxRecord) break
      const byte = bytes[p] ?? 0
      const field = fields[fields.length - 1] ?? []
      if (quoted && !closed) {
        if (byte === quote && bytes[p + 1] === quote && p + 1 - from <= maxRecord) {
          field.push(byte)
          p++
        } else if (byte === quote) closed = true
        else {
          if (isEol(p)) {
            if (firstEol < 0) firstEol = p
            if (byte === 13 || bytes[p - 1] !== 13) lines++
            if (p < swallowedTo) return { broken: 'unterminated_quote', firstEol }
          }
          field.push(byte)
        }
      } else if (isEol(p)) break
      else if (byte === delimiter) {
        fields.push([])
        quoted = false
        closed = false
      } else if (closed) return { broken: 'text_after_quote', firstEol: firstEol < 0 ? eolFrom(p) : firstEol }
      else if (byte === quote && field.length === 0 && isFieldStart(p, from)) quoted = true
      else field.push(byte)
    }
    const open = quoted && !closed
    if (p - from > maxRecord) {
      const code = open && firstEol >= 0 ? 'unterminated_quote' : 'record_too_long'
      return { broken: code, firstEol: firstEol < 0 ? eolFrom(p) : firstEol }
    }
    if (open) return { broken: 'unterminated_quote', firstEol: firstEol < 0 ? p : firstEol }
    return { fields, end: p, lines, firstEol }
  }
  const isFieldStart = (p: number, from: number) => p === from || bytes[p - 1] === delimiter

  while (start < bytes.length) {
    const eol = eolFrom(start)
    const blank = [...bytes.subarray(start, eol)].every((b) => (b === 32 || b === 9) && b !== delimiter)
    if (blank && eol - start <= maxRecord) {
      skipped++
      line++
      start = afterEol(eol)
      continue
    }
    const record = records.length + 1
    let got = readOne(start)
    if (got.fields) {
      const extra = got.fields.slice(options.expectedColumns).some((field) => field.length > 0)
      const wrong = got.fields.length < options.expectedColumns || extra
      if (wrong && got.lines > 0) {
        const second = afterEol(got.firstEol)
        const alone = columnsOfLine(
          bytes.subarray(second, Math.min(eolFrom(second), got.end)),
          delimiter,
          quote,
        )
        if (alone === options.expectedColumns) {
          swallowedTo = got.end
          got = { broken: 'unterminated_quote', firstEol: got.firstEol }
        }
      }
      if (got.fields) {
        const raw = bytes.subarray(start, got.end)
        const codes: string[] = []
        if (got.fields.length < options.expectedColumns) codes.push('missing_columns')
        else if (extra) codes.push('too_many_columns')
        if (got.fields.some((field) => field.some((b) => b === 0 || (b >= 29 && b <= 31))))
          codes.push('control_character')
        if (options.encoding === 'utf-8' && !isUtf8(raw)) codes.push('invalid_utf8')
        const place = { record, line, offset: start, length: got.end - start }
        const texts = got.fields
          .slice(0, options.expectedColumns)
          .map((f) => decodeText(Buffer.from(f), options.encoding))
        records.push(
          codes.length > 0
            ? { ...place, codes }
            : { ...place, fields: options.columns.map((c) => texts[c] ?? '') },
        )
        line += 1 + got.lines
        start = afterEol(got.end)
        continue
      }
    }
    records.push({ record, line, offset: start, length: got.firstEol - start, codes: [got.broken ?? ''] })
    line++
    start = afterEol(got.firstEol)
  }
  return { records, skipped }
}

// How many columns a line has by itself; -1 when its quotes do not work out.
function columnsOfLine(bytes: Uint8Array, delimiter: number, quote: number): number {
  let columns = 1
  let state: 'start' | 'text' | 'quoted' | 'closed' = 'start'
  for (const byte of bytes) {
    if (state === 'quoted') state = byte === quote ? 'closed' : 'quoted'
    else if (byte === delimiter) {
      columns++
      state = 'start'
    } else if (byte === quote && state === 'text') return -1
    else if (byte === quote) state = 'quoted'
    else if (state === 'closed') return -1
    else state = 'text'
  }
  return state === 'quoted' ? -1 : columns
}
