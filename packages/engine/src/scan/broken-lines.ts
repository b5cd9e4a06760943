import { CR_END, CRLF_END, LF, LF_END, NO_END } from './options.ts'
import { columnsOfLine } from './quotes.ts'
import type { Reading } from './reading.ts'
import { endOfLine } from './reject.ts'
import type { ScanState } from './state.ts'

/*
 * A line end in a cell without quotes breaks a record in two. Two signs show it: the line ends differently from all
 * others (a lone LF where others end with CRLF), or two short lines together have as many columns as one should have.
 * The first half may have all columns if the break is in the last one.
 */

/**
 * Returns true if the record at `state.start`, which ends at `r.at`, is probably the first half of a broken one; `next`
 * is the index after its line end. Returns null if the next line is not available yet.
 */
export function isBroken(state: ScanState, r: Reading, next: number): boolean | null {
  const { expected } = state.dialect
  const short = r.columns < expected
  const unusual = isUnusual(state, endKind(state, r.at))
  if (!short && !unusual) return false
  const line = nextLine(state, next)
  if (line === null) return null
  const isRest = line.columns > 0 && line.columns < expected
  return isRest && (unusual || r.columns + line.columns - 1 === expected)
}

/**
 * Makes the line end of a good record the usual one if the next record ends the same way, as in files that were joined.
 * `isBroken` has already checked that the next line is available.
 */
export function settleLineEnd(state: ScanState, r: Reading, next: number, good: boolean): void {
  const kind = endKind(state, r.at)
  if (!good || !isUnusual(state, kind)) return
  const line = nextLine(state, next)
  if (line && line.columns >= state.dialect.expected && line.end === kind) state.usualEnd = kind
}

function isUnusual({ usualEnd }: ScanState, kind: number): boolean {
  return usualEnd !== NO_END && kind !== NO_END && kind !== usualEnd
}

// Returns columns and end of the line at `next`, within the bytes that decide any record; -1 columns beyond them.
function nextLine(state: ScanState, next: number): { columns: number; end: number } | null {
  const { work, start, end, final, dialect } = state
  const limit = start + dialect.decisive
  const lineEnd = endOfLine(work, next, Math.min(end, limit))
  if (lineEnd + 1 >= limit) return { columns: -1, end: NO_END }
  if (lineEnd + 1 >= end && !final) return null
  return { columns: columnsOfLine(work, next, lineEnd, dialect), end: endKind(state, lineEnd) }
}

// Returns the kind of the line end at `at`; the byte after a CR must be available.
function endKind({ work, end }: ScanState, at: number): number {
  if (at >= end) return NO_END
  if (work[at] === LF) return LF_END
  return at + 1 < end && work[at + 1] === LF ? CRLF_END : CR_END
}
