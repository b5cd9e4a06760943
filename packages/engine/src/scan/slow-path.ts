import { isUtf8 } from 'node:buffer'
import { readRow } from '../row.ts'
import { isBroken, settleLineEnd } from './broken-lines.ts'
import { type HeaderRow, headerRowOf } from './header-rows.ts'
import { invalidUtf8 } from './invalid-utf8.ts'
import { CR, LF } from './options.ts'
import { type Reading, read } from './reading.ts'
import { afterLineEnd, noteReject, reason, rejectFirstLine } from './reject.ts'
import { COMMA, halvesOf, noteExtraCells } from './split-numbers.ts'
import { type ScanState, type StructuralReason, writeNumber } from './state.ts'
import { countUnnamed } from './unnamed-columns.ts'

/*
 * The careful parser reads one record of any kind. Its rules, which the fast loop shares:
 *
 * - A field is quoted if a quote is its first character other than blanks; elsewhere quotes are text. Blanks around the
 *   quotes and a byte order mark before a field are not part of it.
 * - Everything that a pair of quotes encloses belongs to one record, whatever is wrong with that record.
 * - A quote that is never closed (to the end of the file, within 1 MiB, or before a quote that opens another field)
 *   rejects only the first physical line, and reading continues with the second: good lines must not be lost.
 * - A record without any value is a blank line, however many delimiters, blanks and empty quotes it has.
 * - Any other error in a record (columns, text after a closing quote, control characters, encoding) rejects the whole
 *   record, with all reasons.
 */

/**
 * Reads the record at `state.start`: writes it to the output, or rejects it, and moves on. Returns false if its end is
 * not available yet and more bytes will come; then nothing has changed.
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

// Handles a line of only spaces and tabs (if these do not delimit). Returns null if it is not blank.
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
  const why = r.reason ?? reason('unterminated_quote', 'the quotes of this line are not closed')
  return rejectFirstLine(state, r.firstLineEnd >= 0 ? r.firstLineEnd : r.at, why)
}

// The record has an end. Judges it and writes or rejects it. Returns false if the bytes needed for that are not
// available yet.
function finish(state: ScanState, r: Reading, outStart: number): boolean {
  const { work, start, base } = state
  const next = afterLineEnd(state, r.at)
  if (next < 0) return false
  if (!r.hasValue) {
    state.outEnd = outStart
    state.skipped++
    return moveTo(state, next, r)
  }
  const bytes = work.subarray(start, r.at)
  const broken = isBroken(state, r, next)
  if (broken === null) return false
  const reasons = reasonsOf(state, r, bytes, broken)
  if (reasons === null) return false
  settleLineEnd(state, r, next, reasons.length === 0)
  state.secondHalf = broken ? base + next : -1
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
    if (r.columns > state.dialect.expected) noteExtraCells(state.extraCells, bytes, state.dialect, state.line)
    countUnnamed(state.unnamed, state.line)
  }
  return moveTo(state, next, r)
}

function moveTo(state: ScanState, next: number, r: Reading): true {
  state.start = next
  state.line += 1 + r.lineEnds
  return true
}

// Returns why the record is rejected, or null if a guessed encoding turns out to be wrong.
function reasonsOf(
  state: ScanState,
  r: Reading,
  bytes: Uint8Array,
  broken: boolean,
): StructuralReason[] | null {
  const { dialect, start, base } = state
  const reasons: StructuralReason[] = []
  const header = headerRowOf(bytes, dialect)
  if (header) reasons.push(repeated(state, header))
  if (r.textAfterQuote) reasons.push(r.textAfterQuote)
  if (r.columns < dialect.expected || r.valueBeyond) {
    reasons.push(wrongWidth(state, r, bytes))
  }
  if (broken)
    reasons.push(
      reason(
        'broken_line',
        'the next line is probably the rest of this record: a cell without quotes contains a line end',
      ),
    )
  if (state.secondHalf === base + start)
    reasons.push(
      reason(
        'broken_line',
        'this line is probably the rest of the record before it: a cell without quotes contains a line end',
      ),
    )
  if (r.forbidden) {
    const point = `U+${r.forbidden.byte.toString(16).toUpperCase().padStart(4, '0')}`
    const what = `column ${r.forbidden.column} contains the control character ${point}`
    reasons.push(reason('control_character', what, point))
  }
  if (dialect.encoding === 'utf-8' && !isUtf8(bytes)) {
    if (dialect.guessing) {
      state.undecided = true
      return null
    }
    reasons.push(invalidUtf8(bytes, base + start))
  }
  return reasons
}

function wrongWidth({ dialect }: ScanState, r: Reading, bytes: Uint8Array): StructuralReason {
  const { expected, delimiter } = dialect
  const what = `${r.columns} ${r.columns === 1 ? 'cell' : 'cells'}, expected ${expected}`
  if (r.columns < expected) {
    const whole = isWholeLineQuoted(r, bytes, delimiter) ? ': the whole line is in quotes' : ''
    return reason('missing_columns', `${what}${whole}`)
  }
  return reason('too_many_columns', `${what}${splitNumber(dialect, r, bytes)}`)
}

// If as many numbers as extra cells may be halves, they are the likely cause.
function splitNumber(
  { expected, delimiter, quote, encoding }: ScanState['dialect'],
  r: Reading,
  bytes: Uint8Array,
): string {
  if (delimiter !== COMMA) return ''
  const row = readRow({ head: bytes, encoding, complete: true, delimiter, quote }, 0, 1)
  const halves = halvesOf(row?.cells ?? [])
  const [first] = halves
  if (!row || first === undefined || halves.length < r.columns - expected) return ''
  const number = `${row.cells[first]?.trim()},${row.cells[first + 1]?.trim()}`
  return `; if "${number}" is one number, export the file with ";" between cells`
}

function repeated(state: ScanState, { kind, cells, aliases }: HeaderRow): StructuralReason {
  const what = aliases ? 'names the same columns as' : 'repeats'
  if (kind === 'same')
    return reason('repeated_header', `the line ${what} the header in line ${state.dialect.header?.line}`)
  state.otherHeader ??= { line: state.line, cells }
  return reason(
    'repeated_header',
    'the line names other columns than the header, or the same columns in another order',
  )
}

function isWholeLineQuoted(r: Reading, bytes: Uint8Array, delimiter: number): boolean {
  return r.columns === 1 && r.closing >= 0 && !r.textAfterQuote && bytes.includes(delimiter)
}
