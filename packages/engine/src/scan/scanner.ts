import { isAllUtf8, scanFast } from './fast-path.ts'
import { compileDialect, type ScanOptions } from './options.ts'
import { contentOf, hold, pour } from './padding.ts'
import { skipLongLine } from './reject.ts'
import { scanCareful } from './slow-path.ts'
import { type ExtraCells, extraCellsOf } from './split-numbers.ts'
import { createState, newOutput, type ScanState, type StructuralCode } from './state.ts'
import { type UnnamedColumn, unnamedColumns } from './unnamed-columns.ts'

/** Counts of a finished or running scan. `records = good + structural` always holds. */
export interface ScanCounts {
  records: number
  good: number
  structural: number
  /** Blank lines, and records without any value. */
  skipped: number
  /** Bytes of padding at the end of the file: NULs, Ctrl-Z, and line ends and blanks between them. */
  padding: number
  /** Size of the longest canonical record. */
  longest: number
  /** Sum of the numbers of the good records. */
  goodSum: bigint
  /** Indexes of the columns in which some good field contains a line break (as 0x1E for LF, 0x1D for CR). */
  brokenColumns: ReadonlySet<number>
  /** Number of reasons by code; a record may have several. */
  rejectCounts: Partial<Record<StructuralCode, number>>
  /** The first line that names other columns than the header, or the same in another order. Records after it may use those. */
  otherHeader: { line: number; cells: string[] } | null
  extraCells: ExtraCells | null
  unnamedColumns: UnnamedColumn[]
  /** Number of bytes read one by one to find the ends of records; a byte that is read again counts again. */
  bytesFollowed: number
}

/**
 * Converts the bytes of a delimited text to canonical records and structural rejects, in chunks of any size, with the
 * same result for any sizes. Nothing is interpreted and nothing is lost: each record is in one of the two outputs.
 *
 * Canonical record: `number 1F line 1F offset 1F field 1F … field 1F length LF`, UTF-8, unquoted, the wanted columns in
 * the file's order. Reject: one line of JSON `{record, line, offset, length, reasons, raw, rawTruncated}`. Offset and
 * length are those of the record without its line end.
 */
export interface Scanner {
  /** Takes bytes from the chunk and returns how many; call `scan` after each call. */
  feed(chunk: Uint8Array): number
  /** Marks the end of the input. */
  finish(): void
  /** Processes the bytes that were fed. `full`: take the output and call again. `undecided`: the encoding is not UTF-8. */
  scan(): 'more' | 'full' | 'undecided'
  /** Returns the canonical bytes so far; the caller owns the buffer. */
  takeCanonical(): Buffer
  /** Returns a written buffer from `takeCanonical` for reuse. */
  giveBack(buffer: Buffer): void
  /** Returns the rejects so far, as lines of JSON. */
  takeRejects(): string[]
  counts(): ScanCounts
  /** Returns the number of bytes that were fed and not yet turned into records. */
  pendingBytes(): number
}

/** Maximum characters of rejects in memory before `scan` returns `full`. */
const REJECTS_FLUSH = 1 << 20

/** Creates a scanner. Throws `bad_input` if the options are invalid. */
export function createScanner(options: ScanOptions): Scanner {
  const state = createState(compileDialect(options), options.startOffset, options.startLine)
  const spare: Buffer[] = []
  // After an unfinished record, the number of bytes that must be available before it is read again. Doubling keeps the
  // work linear.
  let enough = 1
  const step = () => {
    if (!state.final && state.end - state.start < Math.max(1, Math.min(enough, state.dialect.decisive)))
      return 'more'
    const stop = run(state)
    enough = stop === 'full' ? 1 : (state.end - state.start) * 2
    return stop
  }
  return {
    feed(chunk) {
      const content = contentOf(state.held, chunk)
      const room = makeRoom(state, content)
      const taken = Math.min(content, room)
      state.work.set(taken === chunk.length ? chunk : chunk.subarray(0, taken), state.end)
      state.end += taken
      if (taken < content || state.held.released) return taken
      hold(state.held, chunk.subarray(taken))
      return chunk.length
    },
    finish() {
      state.finished = true
    },
    scan() {
      for (;;) {
        const { released } = state.held
        if (released) {
          makeRoom(state, state.held.bytes)
          state.end = pour(state.held, state.work, state.end, state.work.length - 1)
        }
        state.final = state.finished && !state.held.released
        const stop = step()
        if (stop !== 'more' || !released) return stop
      }
    },
    takeCanonical() {
      const taken = state.out.subarray(0, state.outEnd)
      state.out = spare.pop() ?? newOutput(state.work.length)
      state.outEnd = 0
      return taken
    },
    giveBack(buffer) {
      spare.push(Buffer.from(buffer.buffer, 0))
    },
    takeRejects() {
      const taken = state.rejects
      state.rejects = []
      state.rejectChars = 0
      return taken
    },
    counts: () => ({
      records: state.record,
      good: state.good,
      structural: state.structural,
      skipped: state.skipped,
      padding: state.finished && !state.held.released ? state.held.bytes : 0,
      longest: state.longest,
      goodSum: state.goodSum,
      brokenColumns: state.brokenColumns,
      rejectCounts: Object.fromEntries(state.rejectCounts),
      otherHeader: state.otherHeader,
      extraCells: extraCellsOf(state.extraCells),
      unnamedColumns: unnamedColumns(state.unnamed),
      bytesFollowed: state.bytesFollowed,
    }),
    pendingBytes: () => state.end - state.start + state.held.bytes,
  }
}

function run(state: ScanState): 'more' | 'full' | 'undecided' {
  if (state.dialect.encoding === 'utf-8') state.allUtf8 = isAllUtf8(state)
  for (;;) {
    if (state.longLine && !skipLongLine(state)) return 'more'
    if (state.rejectChars >= REJECTS_FLUSH) return 'full'
    const stop = scanFast(state)
    if (stop !== 'careful') return stop
    if (!scanCareful(state)) return state.undecided ? 'undecided' : 'more'
  }
}

// Returns how many bytes can be added now.
function makeRoom(state: ScanState, wanted: number): number {
  if (state.end + wanted > state.work.length - 1) compact(state)
  return state.work.length - 1 - state.end
}

// Moves unread bytes to the front of the buffer.
function compact(state: ScanState): void {
  state.work.copyWithin(0, state.start, state.end)
  state.base += state.start
  state.end -= state.start
  state.start = 0
}
