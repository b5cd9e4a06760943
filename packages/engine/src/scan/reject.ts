import { isUtf8 } from 'node:buffer'
import { capBytes, decodeText } from '../text.ts'
import { CR, LF } from './options.ts'
import type { ScanState, StructuralCode, StructuralReason } from './state.ts'

/** Returns a structural reason without a column, for an error of the record as a whole. */
export function reason(code: StructuralCode, message: string, value: string | null = null): StructuralReason {
  return { column: null, code, message, value }
}

/** Assigns the next number to the record and stores it as a reject. `raw` may be longer than what is kept. */
export function noteReject(
  state: ScanState,
  offset: number,
  length: number,
  raw: Uint8Array,
  reasons: readonly StructuralReason[],
): void {
  const { maxRaw, encoding } = state.dialect
  state.record++
  state.structural++
  for (const { code } of reasons) state.rejectCounts.set(code, (state.rejectCounts.get(code) ?? 0) + 1)
  const kept = capBytes(raw, maxRaw, encoding)
  const text = decodeText(kept, encoding)
  const rawTruncated = kept.length < length
  const line = JSON.stringify({
    record: state.record,
    line: state.line,
    offset,
    length,
    reasons,
    raw: text,
    rawTruncated,
  })
  state.rejects.push(`${line}\n`)
  state.rejectChars += line.length
}

/**
 * Rejects the physical line at `state.start` and moves past it; returns false if its end is not available yet. A line
 * that is longer than the buffer is stored in `longLine` and finished by `skipLongLine`. `from` is an index up to which
 * the line is known to continue.
 */
export function rejectFirstLine(state: ScanState, from: number, why: StructuralReason): boolean {
  const { work, start, end, final, dialect } = state
  const lineEnd = endOfLine(work, from, end)
  if (lineEnd === end && !final) {
    if (end - start < dialect.decisive) return false
    if (isNotTheGuess(state, start + dialect.maxRecord)) return false
    state.longLine = {
      offset: state.base + start,
      reason: why,
      raw: Buffer.from(work.subarray(start, start + dialect.maxRaw + 4)),
    }
    state.start = end
    return true
  }
  const next = afterLineEnd(state, lineEnd)
  if (next < 0 || isNotTheGuess(state, lineEnd)) return false
  noteReject(state, state.base + start, lineEnd - start, work.subarray(start, lineEnd), [why])
  state.start = next
  state.line++
  return true
}

// A line that is rejected for its shape still indicates the encoding.
function isNotTheGuess(state: ScanState, lineEnd: number): boolean {
  const { work, start, dialect } = state
  if (!dialect.guessing || isUtf8(capBytes(work.subarray(start, lineEnd), dialect.maxRaw, 'utf-8')))
    return false
  state.undecided = true
  return true
}

/** Skips the rest of a long line; returns false if it continues beyond the available bytes. */
export function skipLongLine(state: ScanState): boolean {
  const { longLine, work, end, final } = state
  if (!longLine) return true
  const lineEnd = endOfLine(work, state.start, end)
  if (lineEnd === end && !final) {
    state.start = end
    return false
  }
  const next = afterLineEnd(state, lineEnd)
  if (next < 0) {
    state.start = lineEnd
    return false
  }
  noteReject(state, longLine.offset, state.base + lineEnd - longLine.offset, longLine.raw, [longLine.reason])
  state.longLine = null
  state.start = next
  state.line++
  return true
}

/** Returns the index of the first line end in `[from, end)`, or `end`. */
export function endOfLine(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== LF && bytes[at] !== CR) at++
  return at
}

/** Returns the index after the line end at `at` (LF, CR or CRLF); -1 if the byte after a CR is not available yet. */
export function afterLineEnd(state: ScanState, at: number): number {
  const { work, end, final } = state
  if (at >= end) return end
  if (work[at] === LF) return at + 1
  if (at + 1 >= end) return final ? at + 1 : -1
  return work[at + 1] === LF ? at + 2 : at + 1
}
