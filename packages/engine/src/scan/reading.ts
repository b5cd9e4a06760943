import { isBom, isSpace } from '../marks.ts'
import { capBytes, decodeText } from '../text.ts'
import { blankAt, CR, CR_INSIDE, FIELD_END, isForbidden, LF, LF_INSIDE, UNNAMED, WRITTEN } from './options.ts'
import {
  AFTER_FIELD,
  AFTER_QUOTE,
  AT_FIELD_START,
  followQuotes,
  IN_QUOTES,
  IN_TEXT,
  opensField,
  type QuoteState,
} from './quotes.ts'
import { endOfLine, reason } from './reject.ts'
import { type ScanState, type StructuralReason, writeNumber } from './state.ts'
import { noteUnnamed } from './unnamed-columns.ts'

/*
 * One worst case determines the shape of this code. Lines such as `a";"` leave a reading in quotes to the end of the
 * file: each would be followed for 1 MiB, and a small file would take hours. But the state of a reading is only the
 * kind of field that it is in, and a reading in quotes at a line end inside an earlier failed one is in the same state,
 * so from there on both are the same reading. `state.failed` stores the last failed reading; a reading that joins it
 * has the same outcome at once. Every byte is therefore followed a bounded number of times.
 */

const DOUBLED = 'a quote inside a cell must be doubled ("" instead of \\")'

/** The result of one careful reading, before the record is judged. */
export interface Reading extends QuoteState {
  kind: 'record' | 'incomplete' | 'broken'
  /** Index of the record's end (its line end), or of the error. */
  at: number
  columns: number
  /** Some column has a value, that is, more than blanks. */
  hasValue: boolean
  /** Some column beyond the expected ones has a value. */
  valueBeyond: boolean
  /** The first field with text after its closing quote. */
  textAfterQuote: StructuralReason | null
  /** Index of the first line end inside quotes, or -1. */
  firstLineEnd: number
  lineEnds: number
  /** Indexes of the columns that contain line ends, in order. */
  brokenColumns: number[]
  forbidden: { byte: number; column: number } | null
  reason: StructuralReason | null
}

/**
 * Reads the record at `state.start` into the output, without judging it. A `record` is written except for its length
 * (at `state.outEnd`); the output of anything else is discarded.
 */
export function read(state: ScanState): Reading {
  const { work, base, start, end, final, dialect } = state
  const { delimiter, quote, space, expected, wanted, maxRecord, asUtf8 } = dialect
  const out = state.out
  state.unnamed.pending.length = 0
  // One byte more than the longest record: if that byte still belongs to it, the record is too long.
  const stop = Math.min(end, start + maxRecord + 1)
  const atEnd = final && stop === end && end - start <= maxRecord
  const canWait = !final && end - start < dialect.decisive
  const r: Reading = {
    kind: 'record',
    at: start,
    columns: 0,
    hasValue: false,
    valueBeyond: false,
    textAfterQuote: null,
    firstLineEnd: -1,
    lineEnds: 0,
    brokenColumns: [],
    forbidden: null,
    state: AT_FIELD_START,
    spans: false,
    closing: -1,
    reason: null,
  }
  let p = start
  let o = writeNumber(out, state.outEnd, state.record + 1)
  out[o++] = FIELD_END
  o = writeNumber(out, o, state.line)
  out[o++] = FIELD_END
  o = writeNumber(out, o, state.base + start)
  out[o++] = FIELD_END
  let fieldOut = o
  let follow = true
  let filled = false
  const put = (byte: number) => {
    if (byte < 0x80 || asUtf8 === null) {
      if (isForbidden(byte)) r.forbidden ??= { byte, column: r.columns + 1 }
      out[o++] = byte
      return
    }
    const at = byte << 2
    for (let i = 1; i <= (asUtf8[at] ?? 0); i++) out[o++] = asUtf8[at + i] ?? 0
  }
  // Handles all bytes of the blank at `p`, or the one byte of a value.
  const putWhole = (blank: number) => {
    if (blank === 0) filled = true
    put(work[p] ?? 0)
    for (let left = blank; left > 1; left--) put(work[++p] ?? 0)
  }
  const closeField = () => {
    if (filled) r.hasValue = true
    if (filled && r.columns >= expected) r.valueBeyond = true
    filled = false
    if (wanted[r.columns] === UNNAMED) noteUnnamed(state.unnamed, r.columns, out, fieldOut, o)
    if (wanted[r.columns] === WRITTEN) out[o++] = FIELD_END
    else o = fieldOut
    fieldOut = o
    r.columns++
  }
  const ended = (reading: Reading): Reading => {
    state.bytesFollowed += p - start
    return reading
  }
  for (; p < stop; p++) {
    const byte = work[p] ?? 0
    if (r.state === IN_QUOTES) {
      if (byte === quote) {
        r.state = AFTER_QUOTE
        r.closing = base + p
      } else if (byte !== LF && byte !== CR) {
        putWhole(byte === 0x20 || byte === 0x09 ? 1 : isSpace(work, p, end, space) ? space.length : 0)
      } else {
        r.spans = true
        if (r.firstLineEnd < 0) r.firstLineEnd = p
        if (byte === CR || work[p - 1] !== CR) {
          r.lineEnds++
          if (r.brokenColumns.at(-1) !== r.columns) r.brokenColumns.push(r.columns)
        }
        out[o++] = byte === LF ? LF_INSIDE : CR_INSIDE
        if (follow && base + p < state.failed.to) {
          const fate = joinFailed(state, stop, atEnd, canWait)
          if (fate === 'incomplete') return ended({ ...r, kind: 'incomplete' })
          if (fate === 'broken') return ended({ ...r, kind: 'broken', reason: state.failed.reason })
          follow = false
        }
      }
    } else if (byte === LF || byte === CR) {
      closeField()
      state.outEnd = o
      return ended({ ...r, at: p })
    } else if (byte === delimiter) {
      closeField()
      r.state = AT_FIELD_START
    } else if (byte === quote && r.state === AFTER_QUOTE) {
      putWhole(0)
      r.state = IN_QUOTES
    } else if (byte === quote && r.state === AT_FIELD_START) {
      o = fieldOut
      r.state = IN_QUOTES
      r.spans = false
    } else if (r.state === AT_FIELD_START && isBom(work, p, end)) p += 2
    else {
      const blank = blankAt(work, p, end, dialect)
      const closed = r.state === AFTER_QUOTE || r.state === AFTER_FIELD
      if (closed && blank > 0) {
        r.state = AFTER_FIELD
        p += blank - 1
        continue
      }
      if (closed) {
        if (r.spans && opensField(work, r.closing - base, dialect))
          return ended(fail(state, r, p, false, whyUnclosed()))
        const what = `column ${r.columns + 1} has text after its closing quote; ${DOUBLED}`
        r.textAfterQuote ??= reason('text_after_quote', what, snippet(state, p))
      }
      if (blank === 0) r.state = IN_TEXT
      putWhole(blank)
    }
  }
  if (atEnd && r.state !== IN_QUOTES) {
    closeField()
    state.outEnd = o
    return ended({ ...r, at: p })
  }
  if (!atEnd && canWait) return ended({ ...r, kind: 'incomplete' })
  const inQuotes = r.state === IN_QUOTES && (atEnd || r.firstLineEnd >= 0)
  return ended(fail(state, r, p, !atEnd, whyOpen(state, inQuotes, `column ${r.columns + 1}`, atEnd)))
}

function fail(state: ScanState, r: Reading, at: number, open: boolean, why: StructuralReason): Reading {
  const { state: quoteState, spans, closing } = r
  const stands = open ? { state: quoteState, spans, closing } : null
  if (r.firstLineEnd >= 0) state.failed = { to: state.base + at, reason: why, open: stands }
  return { ...r, kind: 'broken', at, reason: why }
}

function whyUnclosed(): StructuralReason {
  const what = 'a quote that opens in this line is not closed before the next one opens'
  return reason('unterminated_quote', what)
}

function whyOpen(state: ScanState, inQuotes: boolean, where: string, atEnd: boolean): StructuralReason {
  const limit = `${state.dialect.maxRecord} bytes`
  if (!inQuotes) return reason('record_too_long', `the record is longer than ${limit}`)
  const missing = atEnd ? 'before the end of the file' : `within ${limit}`
  return reason('unterminated_quote', `the quote that opens ${where} is not closed ${missing}`)
}

// This reading has joined a failed one. Their outcome is the same unless the other was abandoned for its length.
function joinFailed(
  state: ScanState,
  stop: number,
  atEnd: boolean,
  canWait: boolean,
): 'broken' | 'incomplete' | 'ended' {
  const { failed, base } = state
  if (failed.open === null) return 'broken'
  const rest = followQuotes(state, failed.to - base, stop, failed.open)
  state.bytesFollowed += rest.at - (failed.to - base)
  if (rest.kind === 'ended' || (rest.kind === 'open' && atEnd && rest.state !== IN_QUOTES)) return 'ended'
  if (rest.kind === 'open' && !atEnd && canWait) return 'incomplete'
  const open = rest.kind === 'open' && !atEnd
  const inQuotes = rest.state === IN_QUOTES
  state.failed = {
    to: base + rest.at,
    reason: rest.kind === 'open' ? whyOpen(state, inQuotes, 'in this line', atEnd) : whyUnclosed(),
    open: open ? rest : null,
  }
  return 'broken'
}

// Decoded like the raw text of the record. Does not split characters.
function snippet({ work, end, dialect }: ScanState, at: number): string {
  const text = work.subarray(at, endOfLine(work, at, end))
  return decodeText(capBytes(text, 40, dialect.encoding), dialect.encoding)
}
