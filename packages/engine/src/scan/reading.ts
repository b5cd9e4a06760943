import { CR, CR_INSIDE, FIELD_END, isForbidden, LF, LF_INSIDE } from './options.ts'
import { AFTER_QUOTE, AT_FIELD_START, followQuotes, IN_QUOTES, IN_TEXT } from './quotes.ts'
import { endOfLine, reason } from './reject.ts'
import { type ScanState, type StructuralReason, writeNumber } from './state.ts'

/*
 * One trap decides the shape of the code. Lines such as `a";"` keep a reading in quotes for ever: each would be
 * followed for 1 MiB, and a small file would take hours. But the state of a reading is only "in which kind of
 * field am I", and a reading that stands in quotes at a line end inside an earlier failed one is in the same
 * state there, so from there on they are the same reading. `state.failed` remembers the last failed reading; who
 * joins it shares its fate at once. Every byte is then followed a bounded number of times.
 */

/** What one careful reading found out about quotes and lines, before anything is judged. */
export interface Reading {
  kind: 'record' | 'incomplete' | 'broken'
  /** Index of the record's end (its line end), or where it broke. */
  at: number
  columns: number
  /** Some column beyond the expected ones holds text. */
  textBeyond: boolean
  /** Index of the first line end inside quotes, or -1. */
  firstLineEnd: number
  lineEnds: number
  /** Indexes of the columns that hold them, in order. */
  brokenColumns: number[]
  forbidden: { byte: number; column: number } | null
  /** Quote state at `at`. */
  state: number
  reason: StructuralReason | null
}

/**
 * Reads the record at `state.start` into the output, without judging it. A `record` is written but for its length
 * (`state.outEnd` stands there); anything else is written in vain.
 */
export function read(state: ScanState): Reading {
  const { work, start, end, final, dialect } = state
  const { delimiter, quote, expected, wanted, maxRecord, asUtf8 } = dialect
  const out = state.out
  // One byte more than the longest record: if that one still belongs to it, it is too long.
  const stop = Math.min(end, start + maxRecord + 1)
  const atEnd = final && stop === end && end - start <= maxRecord
  const canWait = !final && end - start < dialect.decisive
  const r: Reading = {
    kind: 'record',
    at: start,
    columns: 0,
    textBeyond: false,
    firstLineEnd: -1,
    lineEnds: 0,
    brokenColumns: [],
    forbidden: null,
    state: AT_FIELD_START,
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
  const put = (byte: number) => {
    if (byte < 0x80 || asUtf8 === null) {
      if (isForbidden(byte)) r.forbidden ??= { byte, column: r.columns + 1 }
      out[o++] = byte
      return
    }
    const at = byte << 2
    for (let i = 1; i <= (asUtf8[at] ?? 0); i++) out[o++] = asUtf8[at + i] ?? 0
  }
  const closeField = () => {
    if (r.columns >= expected && o > fieldOut) r.textBeyond = true
    if (wanted[r.columns] === 1) out[o++] = FIELD_END
    else o = fieldOut
    fieldOut = o
    r.columns++
  }
  for (; p < stop; p++) {
    const byte = work[p] ?? 0
    if (r.state === IN_QUOTES) {
      if (byte === quote) r.state = AFTER_QUOTE
      else if (byte !== LF && byte !== CR) put(byte)
      else {
        if (r.firstLineEnd < 0) r.firstLineEnd = p
        if (byte === CR || work[p - 1] !== CR) {
          r.lineEnds++
          if (r.brokenColumns.at(-1) !== r.columns) r.brokenColumns.push(r.columns)
        }
        out[o++] = byte === LF ? LF_INSIDE : CR_INSIDE
        if (follow && state.base + p < state.failed.to) {
          const fate = joinFailed(state, stop, atEnd, canWait)
          if (fate === 'incomplete') return { ...r, kind: 'incomplete' }
          if (fate === 'broken') return { ...r, kind: 'broken', reason: state.failed.reason }
          follow = false
        }
      }
    } else if (byte === LF || byte === CR) {
      closeField()
      state.outEnd = o
      return { ...r, at: p }
    } else if (byte === delimiter) {
      closeField()
      r.state = AT_FIELD_START
    } else if (byte === quote && r.state === AFTER_QUOTE) {
      put(byte)
      r.state = IN_QUOTES
    } else if (byte === quote && r.state === AT_FIELD_START) r.state = IN_QUOTES
    else if (r.state === AFTER_QUOTE) {
      return fail(
        state,
        r,
        p,
        null,
        reason(
          'text_after_quote',
          `text after the closing quote of column ${r.columns + 1}`,
          snippet(state, p),
        ),
      )
    } else {
      put(byte)
      r.state = IN_TEXT
    }
  }
  if (atEnd && r.state !== IN_QUOTES) {
    closeField()
    state.outEnd = o
    return { ...r, at: p }
  }
  if (!atEnd && canWait) return { ...r, kind: 'incomplete' }
  const inQuotes = r.state === IN_QUOTES && (atEnd || r.firstLineEnd >= 0)
  return fail(state, r, p, atEnd ? null : r.state, whyOpen(state, inQuotes, `column ${r.columns + 1}`, atEnd))
}

function fail(
  state: ScanState,
  r: Reading,
  at: number,
  openState: number | null,
  why: StructuralReason,
): Reading {
  if (r.firstLineEnd >= 0) state.failed = { to: state.base + at, reason: why, openState }
  return { ...r, kind: 'broken', at, reason: why }
}

function whyOpen(state: ScanState, inQuotes: boolean, where: string, atEnd: boolean): StructuralReason {
  const limit = `${state.dialect.maxRecord} bytes`
  if (!inQuotes) return reason('record_too_long', `the record is longer than ${limit}`)
  const missing = atEnd ? 'before the end of the file' : `within ${limit}`
  return reason('unterminated_quote', `the quote that opens ${where} is not closed ${missing}`)
}

// This reading has joined a failed one. That fate is settled unless the other was given up for its length.
function joinFailed(
  state: ScanState,
  stop: number,
  atEnd: boolean,
  canWait: boolean,
): 'broken' | 'incomplete' | 'ended' {
  const { failed, base, work, dialect } = state
  if (failed.openState === null) return 'broken'
  const rest = followQuotes(work, failed.to - base, stop, failed.openState, dialect)
  if (rest.kind === 'ended' || (rest.kind === 'open' && atEnd && rest.state !== IN_QUOTES)) return 'ended'
  if (rest.kind === 'open' && !atEnd && canWait) return 'incomplete'
  const why =
    rest.kind === 'open'
      ? whyOpen(state, rest.state === IN_QUOTES, 'in this line', atEnd)
      : reason('text_after_quote', 'text after a closing quote', snippet(state, rest.at))
  state.failed = {
    to: base + rest.at,
    reason: why,
    openState: rest.kind === 'open' && !atEnd ? rest.state : null,
  }
  return 'broken'
}

function snippet(state: ScanState, at: number): string {
  const end = Math.min(endOfLine(state.work, at, state.end), at + 40)
  return state.work.subarray(at, end).toString('latin1')
}
