import { isBom, isSpace, noBreakSpace } from './marks.ts'
import { type ByteEncoding, decodeText } from './text.ts'

/** A text from which rows are read one at a time. */
export interface RowSource {
  readonly head: Uint8Array
  readonly encoding: ByteEncoding
  /** `head` is the whole text: its last line needs no line end. */
  readonly complete: boolean
  readonly delimiter: number
  /** -1 if nothing is quoted. */
  readonly quote: number
}

/** A row as it appears in a text. */
export interface TextRow {
  /** Decoded and unquoted, without blank ones at the end of the row. */
  cells: string[]
  /** Physical line of its start, from 1. */
  line: number
  /** Offsets of its first byte and of its line end. */
  from: number
  to: number
  /** Number of columns, including blank ones at the end. */
  width: number
  /** Some cell is quoted. */
  quoted: boolean
  /** Offset and line after the row. */
  next: number
  nextLine: number
}

/** Reads the row at `start`. Returns null if its quotes are malformed or its end is not in the text. */
export function readRow(source: RowSource, start: number, line: number): TextRow | null {
  const { head, encoding, delimiter, quote } = source
  const space = noBreakSpace(encoding)
  const cells: string[] = []
  let cell: number[] = []
  let lines = 0
  let quoted = false
  let state: 'start' | 'text' | 'quoted' | 'quote' | 'closed' = 'start'
  let at = start
  for (; at < head.length; at++) {
    const byte = head[at] ?? 0
    const eol = byte === 0x0a || byte === 0x0d
    if (state === 'quoted') {
      if (byte === quote) state = 'quote'
      else cell.push(byte)
      if (eol && (byte === 0x0d || head[at - 1] !== 0x0d)) lines++
    } else if (eol) break
    else if (byte === delimiter) {
      cells.push(decodeText(Uint8Array.from(cell), encoding))
      cell = []
      state = 'start'
    } else if (byte === quote && state === 'quote') {
      cell.push(byte)
      state = 'quoted'
    } else if (byte === quote && state === 'start') {
      cell = []
      quoted = true
      state = 'quoted'
    } else if (state === 'start' && isBom(head, at, head.length)) at += 2
    else if (byte === 0x20 || byte === 0x09 || isSpace(head, at, head.length, space)) {
      const blank = byte === 0x20 || byte === 0x09 ? 1 : space.length
      if (state === 'quote' || state === 'closed') state = 'closed'
      else cell.push(...head.subarray(at, at + blank))
      at += blank - 1
    } else if (state === 'quote' || state === 'closed') return null
    else {
      cell.push(byte)
      state = 'text'
    }
  }
  if (state === 'quoted' || (at === head.length && !source.complete)) return null
  cells.push(decodeText(Uint8Array.from(cell), encoding))
  const width = cells.length
  while (cells.length > 1 && cells.at(-1)?.trim() === '') cells.pop()
  return {
    cells,
    line,
    from: start,
    to: at,
    width,
    quoted,
    next: afterLine(head, at),
    nextLine: line + lines + 1,
  }
}

/** Returns the offset after the physical line that contains `from`. */
export function afterLine(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++
  if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at++
  return Math.min(at + 1, bytes.length)
}
