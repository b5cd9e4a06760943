import { isUtf8 } from 'node:buffer'
import { isBom, isSpace } from '../marks.ts'
import { mayBeHeader } from './header-rows.ts'
import {
  CR,
  CR_END,
  CRLF_END,
  DELIMITER,
  type Dialect,
  FIELD_END,
  HIGH,
  LF,
  LF_END,
  MARK,
  NEWLINE,
  NO_END,
  ORDINARY,
  QUOTE,
  UNNAMED,
  WRITTEN,
} from './options.ts'
import { EXTRA_CELLS_LOOKED_AT, noteExtraCells } from './split-numbers.ts'
import { FLUSH_BYTES, type ScanState, writeNumber } from './state.ts'
import { countUnnamed, noteUnnamed } from './unnamed-columns.ts'

/** Used in place of a table that is not read. */
const NO_TABLE = new Uint8Array(0)

/** Why the fast loop stopped. */
export type FastStop = 'more' | 'full' | 'careful'

/**
 * Copies well-formed records to the output until it must stop: the input ends within a record (`more`), the output
 * should be taken (`full`), or a record is not plainly good (`careful`: nothing of it is written, `state.start` points
 * at it, and the careful parser must read it).
 *
 * It is deliberately one long function: this loop touches every byte, and calls or shared fields in it cost a third of
 * the speed. Each byte is looked up in a table of classes; ordinary ones are copied immediately. All columns are copied
 * and the unwanted ones removed again. `work[end]` is set to a line feed, so that no loop runs past the end; every
 * branch for a special byte checks whether it is that one.
 */
export function scanFast(state: ScanState): FastStop {
  const { dialect, work: b, out, end, final } = state
  const { delimiter, quote, expected, wanted, maxRecord, blanks, voids, header } = dialect
  const heads = header?.heads
  const { usualEnd } = state
  const { unnamed, extraCells } = state
  const { pending } = unnamed
  pending.length = 0
  b[end] = LF
  const mapped = dialect.asUtf8 !== null
  const asUtf8 = dialect.asUtf8 ?? NO_TABLE
  const mark = mapped || !state.allUtf8
  const plain = mark ? dialect.plainHigh : dialect.plain
  const quoted = mark ? dialect.quotedHigh : dialect.quoted
  let p = state.start
  let o = state.outEnd
  let recordStart = p
  let recordOut = o
  let line = state.line
  let record = state.record
  let sum = 0
  let longest = state.longest
  let stop: FastStop = 'more'

  records: while (p < end) {
    if (o >= FLUSH_BYTES) {
      stop = 'full'
      break
    }
    recordStart = p
    recordOut = o
    let c = b[p] as number
    if (c === LF || c === CR) {
      if (c === CR) {
        if (p + 1 >= end && !final) break
        if (p + 1 < end && b[p + 1] === LF) p++
      }
      p++
      line++
      state.skipped++
      recordStart = p
      continue
    }
    if (voids[c] === 1) {
      let q = p
      while (voids[b[q] as number] === 1) q++
      if (plain[b[q] as number] === NEWLINE) {
        stop = 'careful'
        break
      }
    }
    o = writeNumber(out, o, record + 1)
    out[o++] = FIELD_END
    o = writeNumber(out, o, line)
    out[o++] = FIELD_END
    o = writeNumber(out, o, state.base + p)
    out[o++] = FIELD_END

    fields: for (let column = 0; ; ) {
      const fieldOut = o
      let k: number
      if (c === quote) {
        c = b[++p] as number
        for (;;) {
          // biome-ignore lint/suspicious/noAssignInExpressions: the hot loop
          while ((k = quoted[c] as number) === ORDINARY) {
            out[o++] = c
            c = b[++p] as number
          }
          if (k === QUOTE) {
            c = b[++p] as number
            if (c !== quote) break
            out[o++] = c
            c = b[++p] as number
          } else if (k === HIGH && mapped) {
            const at = c << 2
            out[o++] = asUtf8[at + 1] as number
            out[o++] = asUtf8[at + 2] as number
            if (asUtf8[at] === 3) out[o++] = asUtf8[at + 3] as number
            c = b[++p] as number
          } else {
            stop = 'careful'
            break records
          }
        }
        k = plain[c] as number
        if (k === ORDINARY) {
          while (blanks[c] === 1) c = b[++p] as number
          k = plain[c] as number
        }
      } else {
        for (;;) {
          // biome-ignore lint/suspicious/noAssignInExpressions: the hot loop
          while ((k = plain[c] as number) === ORDINARY) {
            out[o++] = c
            c = b[++p] as number
          }
          if (k <= NEWLINE) break
          if (k === QUOTE) {
            const before = whatIsBefore(b, recordStart, p, dialect)
            if (before === ONLY_BLANKS) {
              // Blanks are not part of the field, which begins with the quote.
              o = fieldOut
              continue fields
            }
            if (before === OTHER_BLANKS) {
              stop = 'careful'
              break records
            }
            out[o++] = c
          } else if ((k === HIGH && mapped) || (k === MARK && !isMark(b, recordStart, p, end, dialect))) {
            if (mapped) {
              const at = c << 2
              out[o++] = asUtf8[at + 1] as number
              out[o++] = asUtf8[at + 2] as number
              if (asUtf8[at] === 3) out[o++] = asUtf8[at + 3] as number
            } else if (mark) break
            else out[o++] = c
          } else break
          c = b[++p] as number
        }
      }
      if (wanted[column] === WRITTEN) out[o++] = FIELD_END
      else {
        if (wanted[column] === UNNAMED) noteUnnamed(unnamed, column, out, fieldOut, o)
        o = fieldOut
      }
      column++
      if (k === DELIMITER && column < expected) {
        c = b[++p] as number
        continue
      }
      let recordEnd = p
      const hasExtra = k === DELIMITER
      if (hasExtra) {
        // Blank columns beyond the header's are allowed.
        while (c === delimiter || blanks[c] === 1) c = b[++p] as number
        k = plain[c] as number
        recordEnd = p
      }
      if (k !== NEWLINE || column !== expected || p >= end || recordEnd - recordStart > maxRecord) {
        stop = 'careful'
        break records
      }
      let lineEnd = LF_END
      if (c === CR) {
        if (p + 1 >= end && !final) {
          stop = 'careful'
          break records
        }
        lineEnd = CR_END
        if (p + 1 < end && b[p + 1] === LF) {
          p++
          lineEnd = CRLF_END
        }
      }
      if (lineEnd !== usualEnd && usualEnd !== NO_END) {
        stop = 'careful'
        break records
      }
      if (
        heads !== undefined &&
        heads[b[b[recordStart] === quote ? recordStart + 1 : recordStart] as number] === 1 &&
        mayBeHeader(header, b, recordStart, recordEnd)
      ) {
        stop = 'careful'
        break records
      }
      if (hasExtra && extraCells.looked < EXTRA_CELLS_LOOKED_AT)
        noteExtraCells(extraCells, b.subarray(recordStart, recordEnd), dialect, line)
      if (pending.length > 0) countUnnamed(unnamed, line)
      p++
      o = writeNumber(out, o, recordEnd - recordStart)
      out[o++] = LF
      record++
      line++
      sum += record
      if (o - recordOut > longest) longest = o - recordOut
      recordStart = p
      recordOut = o
      break
    }
  }

  if (stop === 'careful') o = recordOut
  state.start = recordStart
  state.outEnd = o
  state.good += record - state.record
  state.goodSum += BigInt(sum)
  state.record = record
  state.line = line
  state.longest = longest
  return stop
}

const TEXT = 0
const ONLY_BLANKS = 1
/** Some of them are no-break spaces. */
const OTHER_BLANKS = 2

// Returns what a field without quotes contains before `at`.
function whatIsBefore(bytes: Uint8Array, recordStart: number, at: number, dialect: Dialect): number {
  const { delimiter, blanks, space } = dialect
  let found = ONLY_BLANKS
  for (let before = at; before > recordStart && bytes[before - 1] !== delimiter; ) {
    if (blanks[bytes[before - 1] as number] === 1) before--
    else if (isSpace(bytes, before - space.length, before, space)) {
      before -= space.length
      found = OTHER_BLANKS
    } else return TEXT
  }
  return found
}

// Returns true if the byte at `at` begins a byte order mark before a field.
function isMark(bytes: Uint8Array, recordStart: number, at: number, end: number, dialect: Dialect): boolean {
  return isBom(bytes, at, end) && whatIsBefore(bytes, recordStart, at, dialect) !== TEXT
}

/**
 * Returns true if all complete sequences available are UTF-8. High bytes are then ordinary for the fast loop. The check
 * costs almost nothing, unlike examining each of them.
 */
export function isAllUtf8(state: ScanState): boolean {
  const end = state.final ? state.end : beforeCutSequence(state.work, state.start, state.end)
  return isUtf8(state.work.subarray(state.start, end))
}

// Returns the index before a multi-byte sequence that the end of the bytes truncates, or `end` if there is none.
function beforeCutSequence(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 1; at >= start && at > end - 4; at--) {
    const byte = bytes[at] ?? 0
    if (byte < 0x80) return end
    if (byte >= 0xc0) return at + (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > end ? at : end
  }
  return end
}
