import type { STRUCTURAL_CODES } from '@aduana/contracts/rejects'
import { type Dialect, MAX_RECORD_BYTES } from './options.ts'
import { type Held, holdNothing } from './padding.ts'
import type { QuoteState } from './quotes.ts'
import { type ExtraCellsTally, noExtraCells } from './split-numbers.ts'
import { noUnnamed, type UnnamedTally } from './unnamed-columns.ts'

/** Code of a structural reason. */
export type StructuralCode = (typeof STRUCTURAL_CODES)[number]

/** One reason of a structural reject; `value` is the offending text, if there is one. */
export interface StructuralReason {
  column: null
  code: StructuralCode
  message: string
  value: string | null
}

/** A line that continues beyond the buffer; the rest is skipped and counted up to its end. */
export interface LongLine {
  readonly offset: number
  readonly reason: StructuralReason
  readonly raw: Uint8Array
}

/** A failed reading that opened a quote; see `careful.ts`. */
export interface FailedReading {
  /** Absolute offset up to which the reading was in quotes at every line end. */
  to: number
  reason: StructuralReason
  /** Its state at `to`, if it was abandoned undecided for its length. */
  open: QuoteState | null
}

/** The state of the scanner between two calls. Indexes point into `work`, offsets into the byte stream. */
export interface ScanState {
  readonly dialect: Dialect
  readonly work: Buffer
  /** Index of the next record's first byte. */
  start: number
  /** Index after the last available byte. */
  end: number
  /** Offset of `work[0]` in the byte stream. */
  base: number
  final: boolean
  /** No more bytes will be fed; those held back may still follow. */
  finished: boolean
  /** Bytes that were fed and are padding unless text follows. */
  held: Held
  /** No available byte is known to be invalid UTF-8. */
  allUtf8: boolean
  out: Buffer
  outEnd: number
  /** Number of the last record. */
  record: number
  /** Physical line of the next record. */
  line: number
  good: number
  goodSum: bigint
  structural: number
  skipped: number
  /** Size of the longest canonical record. */
  longest: number
  /** Indexes of the columns in which some good field contains a line break. */
  brokenColumns: Set<number>
  /** The encoding was guessed to be UTF-8, but some bytes are not. */
  undecided: boolean
  rejects: string[]
  /** Number of characters in `rejects`. */
  rejectChars: number
  rejectCounts: Map<StructuralCode, number>
  /** The usual kind of line end: the header's, until records agree on another one. */
  usualEnd: number
  /** Absolute offset of a record that is the second half of the one before, or -1. */
  secondHalf: number
  /** The first row of names that differ from those of the header. */
  otherHeader: { line: number; cells: string[] } | null
  readonly extraCells: ExtraCellsTally
  readonly unnamed: UnnamedTally
  longLine: LongLine | null
  failed: FailedReading
  /** Number of bytes that careful readings followed; a byte counts each time. */
  bytesFollowed: number
}

/** Size of canonical output that may wait before it must be taken. */
export const FLUSH_BYTES = 1 << 20
const FEED_BYTES = 1 << 20

/** Returns a new state, with buffers large enough for the longest record, in and out. */
export function createState(dialect: Dialect, startOffset: number, startLine: number): ScanState {
  const feed = dialect.maxRecord < MAX_RECORD_BYTES ? Math.max(4096, dialect.decisive) : FEED_BYTES
  const work = Buffer.alloc(dialect.decisive + feed + 1)
  return {
    dialect,
    work,
    start: 0,
    end: 0,
    base: startOffset,
    final: false,
    finished: false,
    held: holdNothing(),
    allUtf8: false,
    out: newOutput(work.length),
    outEnd: 0,
    record: 0,
    line: startLine,
    good: 0,
    goodSum: 0n,
    structural: 0,
    skipped: 0,
    longest: 0,
    brokenColumns: new Set(),
    undecided: false,
    rejects: [],
    rejectChars: 0,
    rejectCounts: new Map(),
    usualEnd: dialect.lineEnd,
    secondHalf: -1,
    otherHeader: null,
    extraCells: noExtraCells(),
    unnamed: noUnnamed(),
    longLine: null,
    bytesFollowed: 0,
    failed: {
      to: -1,
      reason: { column: null, code: 'unterminated_quote', message: '', value: null },
      open: null,
    },
  }
}

/** Allocates a buffer for the output that may wait plus the largest record with every byte tripled by its encoding. */
export function newOutput(workLength: number): Buffer {
  return Buffer.allocUnsafeSlow(FLUSH_BYTES + 3 * workLength + 128)
}

const BILLION = 1_000_000_000

/** Writes a non-negative integer below 10^18 in decimal and returns the index after it. */
export function writeNumber(out: Uint8Array, at: number, value: number): number {
  if (value < BILLION) return writeSmall(out, at, value | 0)
  const high = Math.floor(value / BILLION)
  let o = writeSmall(out, at, high | 0)
  let low = (value - high * BILLION) | 0
  for (let i = 8; i >= 0; i--) {
    const rest = (low / 10) | 0
    out[o + i] = 0x30 + (low - rest * 10)
    low = rest
  }
  o += 9
  return o
}

function writeSmall(out: Uint8Array, at: number, value: number): number {
  const digits =
    value < 10_000
      ? value < 100
        ? value < 10
          ? 1
          : 2
        : value < 1000
          ? 3
          : 4
      : value < 1_000_000
        ? value < 100_000
          ? 5
          : 6
        : value < 100_000_000
          ? value < 10_000_000
            ? 7
            : 8
          : value < 1_000_000_000
            ? 9
            : 10
  let left = value
  for (let o = at + digits - 1; o >= at; o--) {
    const rest = (left / 10) | 0
    out[o] = 0x30 + (left - rest * 10)
    left = rest
  }
  return at + digits
}
