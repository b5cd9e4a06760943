import { isUtf8 } from 'node:buffer'
import { invalidUtf8 } from './invalid-utf8.ts'
import { CR, LF } from './options.ts'
import { columnsOfLine } from './quotes.ts'
import { type Reading, read } from './reading.ts'
import { afterLineEnd, endOfLine, noteReject, reason, rejectFirstLine } from './reject.ts'
import { type ScanState, type StructuralReason, writeNumber } from './state.ts'

/*
 * The careful parser reads one record of any kind. Its rules, which the fast loop shares:
 *
 * - A field is quoted when the quote is its very first character; elsewhere quotes are text. After the closing
 *   quote only a delimiter or a line end may follow.
 * - When quotes come to nothing (never closed, not within 1 MiB, or followed by text) the first
 *   physical line is rejected and reading goes on with the second: one stray quote must not swallow good lines.
 *   The same holds for a record over several lines with a wrong number of columns whose second line is a clean
 *   record: there a stray quote met another one.
 * - Everything else that is wrong with a record (columns, control characters, encoding) rejects it whole, with
 *   all reasons.
 */

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
    reasons.push(invalidUtf8(bytes, base + start))
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
    for (const column of r.brokenColumns) state.brokenColumns.add(column)
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
