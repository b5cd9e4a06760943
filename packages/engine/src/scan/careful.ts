import { isUtf8 } from 'node:buffer'
import { firstInvalid } from '../utf8.ts'
import { CR, CR_INSIDE, FIELD_END, HIGH_AS_UTF8, isForbidden, LF, LF_INSIDE } from './options.ts'
import { AFTER_QUOTE, AT_FIELD_START, columnsOfLine, followQuotes, IN_QUOTES, IN_TEXT } from './quotes.ts'
import { afterLineEnd, endOfLine, noteReject, reason, rejectFirstLine } from './reject.ts'
import { type ScanState, type StructuralReason, writeNumber } from './state.ts'

/*
 * The careful parser reads one record of any kind. Its rules, which the fast loop shares:
 *
 * - A field is quoted when the quote is its very first character; elsewhere quotes are text. After the closing
 *   quote only a delimiter or a line end may follow.
 * - When quotes come to nothing (never closed, closed within 1 MiB of nothing, followed by text) the first
 *   physical line is rejected and reading goes on with the second: one stray quote must not swallow good lines.
 *   The same holds for a record over several lines with a wrong number of columns whose second line is a clean
 *   record: there a stray quote met another one.
 * - Everything else that is wrong with a record (columns, control characters, encoding) rejects it whole, with
 *   all reasons.
 *
 * One trap decides the shape of the code. Lines such as `a";"` keep a reading in quotes for ever: each would be
 * followed for 1 MiB, and a small file would take hours. But the state of a reading is only "in which kind of
 * field am I", and a reading that stands in quotes at a line end inside an earlier failed one is in the same
 * state there, so from there on they are the same reading. `state.failed` remembers the last failed reading; who
 * joins it shares its fate at once. Every byte is then followed a bounded number of times.
 */

/** What one careful reading found out about quotes and lines, before anything is judged. */
interface Reading {
  kind: 'record' | 'incomplete' | 'broken'
  /** Index of the record's end (its line end), or where it broke. */
  at: number
  columns: number
  /** Some column beyond the expected ones holds text. */
  textBeyond: boolean
  /** Index of the first line end inside quotes, or -1. */
  firstLineEnd: number
  lineEnds: number
  forbidden: { byte: number; column: number } | null
  /** Quote state at `at`. */
  state: number
  reason: StructuralReason | null
}

/**
 * Reads the record at `state.start`: writes it to the output, or rejects it, and moves on. False when its end is
 * not at hand yet and more bytes are to come (nothing changed then).
 */
export function scanCareful(state: ScanState): boolean {
  const blank = skipBlank(state)
  if (blank !== null) return blank
  const outStart = state.outEnd
  const reading = read(state)
  if (reading.kind === 'incomplete') {
    state.outEnd = outStart
    return false
  }
  const done = reading.kind === 'broken' ? rejectBroken(state, reading) : finish(state, reading, outStart)
  if (!done) state.outEnd = outStart
  return done
}

// A line of nothing but spaces and tabs (where these do not delimit). null: it is not blank.
function skipBlank(state: ScanState): boolean | null {
  const { work, start, end, final, dialect } = state
  let at = start
  while (at < end && (work[at] === 0x20 || work[at] === 0x09) && work[at] !== dialect.delimiter) at++
  if (at - start > dialect.maxRecord) return null
  if (at === end && !final) return false
  if (at < end && work[at] !== LF && work[at] !== CR) return null
  const next = afterLineEnd(state, at)
  if (next < 0) return false
  state.start = next
  state.line++
  state.skipped++
  return true
}

function read(state: ScanState): Reading {
  const { work, start, end, final, dialect } = state
  const { delimiter, quote, expected, wanted, maxRecord } = dialect
  const windows = dialect.encoding === 'windows-1252'
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
    if (byte < 0x80 || !windows) {
      if (isForbidden(byte)) r.forbidden ??= { byte, column: r.columns + 1 }
      out[o++] = byte
      return
    }
    const at = byte << 2
    for (let i = 1; i <= (HIGH_AS_UTF8[at] ?? 0); i++) out[o++] = HIGH_AS_UTF8[at + i] ?? 0
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
        if (byte === CR || work[p - 1] !== CR) r.lineEnds++
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

function rejectBroken(state: ScanState, r: Reading): boolean {
  const why = r.reason ?? reason('unterminated_quote', 'the quotes of this line come to nothing')
  return rejectFirstLine(state, r.firstLineEnd >= 0 ? r.firstLineEnd : r.at, why)
}

// The record has an end. Judge it, write it or reject it.
function finish(state: ScanState, r: Reading, outStart: number): boolean {
  const { work, start, base, dialect } = state
  const next = afterLineEnd(state, r.at)
  if (next < 0) return false
  const bytes = work.subarray(start, r.at)
  const reasons: StructuralReason[] = []
  const wrongColumns = r.columns < dialect.expected || r.textBeyond
  if (wrongColumns && r.lineEnds > 0) {
    const stray = isStrayQuote(state, r)
    if (stray === null) return false
    if (stray) {
      const why = reason(
        'unterminated_quote',
        `a quote that opens in this line makes ${r.columns} columns of ${r.lineEnds + 1} lines, expected ${dialect.expected}`,
      )
      state.failed = { to: base + r.at, reason: why, openState: null }
      state.outEnd = outStart
      return rejectFirstLine(state, r.firstLineEnd, why)
    }
  }
  if (wrongColumns) {
    const code = r.columns < dialect.expected ? 'missing_columns' : 'too_many_columns'
    reasons.push(reason(code, `${r.columns} columns, expected ${dialect.expected}`))
  }
  if (r.forbidden) {
    const point = `U+${r.forbidden.byte.toString(16).toUpperCase().padStart(4, '0')}`
    reasons.push(
      reason('control_character', `the control character ${point} in column ${r.forbidden.column}`, point),
    )
  }
  if (dialect.encoding === 'utf-8' && !isUtf8(bytes)) {
    if (dialect.guessing) {
      state.undecided = true
      return false
    }
    const byte = `0x${(bytes[firstInvalid(bytes)] ?? 0).toString(16).toUpperCase()}`
    reasons.push(reason('invalid_utf8', `the byte ${byte} is not valid UTF-8`, byte))
  }
  if (reasons.length > 0) {
    state.outEnd = outStart
    noteReject(state, base + start, r.at - start, bytes, reasons)
  } else {
    let o = writeNumber(state.out, state.outEnd, r.at - start)
    state.out[o++] = LF
    state.outEnd = o
    state.longest = Math.max(state.longest, o - outStart)
    state.record++
    state.good++
    state.goodSum += BigInt(state.record)
    if (r.lineEnds > 0) state.embedded = true
  }
  state.start = next
  state.line += 1 + r.lineEnds
  return true
}

// Whether the second line of a record over several lines is a record by itself. null: not all of it is at hand.
function isStrayQuote(state: ScanState, r: Reading): boolean | null {
  const second = afterLineEnd(state, r.firstLineEnd)
  if (second < 0) return null
  // The second line begins inside the record, so the record's own end bounds it.
  const lineEnd = endOfLine(state.work, second, r.at)
  return columnsOfLine(state.work, second, lineEnd, state.dialect) === state.dialect.expected
}

function snippet(state: ScanState, at: number): string {
  const end = Math.min(endOfLine(state.work, at, state.end), at + 40)
  return state.work.subarray(at, end).toString('latin1')
}
