const NUL = 0x00
const CTRL_Z = 0x1a
const LF = 0x0a
const CR = 0x0d

/** Padding with more changes of byte than this is text. */
const MAX_RUNS = 4096

// Padding begins with a NUL or Ctrl-Z; line ends and blanks may follow between them.
const PADS = new Uint8Array(256)
for (const byte of [NUL, CTRL_Z, CR, LF, 0x20, 0x09]) PADS[byte] = 1

/** Bytes that are padding if the file ends after them, as sequences of equal bytes. */
export interface Held {
  runs: { byte: number; count: number }[]
  bytes: number
  /** The bytes are text: either text follows them, or they change too often. They go to the scanner first. */
  released: boolean
  /** The next bytes belong to padding that was released because it changes too often. */
  refused: boolean
}

/** Returns an empty state that holds no bytes back. */
export function holdNothing(): Held {
  return { runs: [], bytes: 0, released: false, refused: false }
}

/**
 * Returns how many bytes of the chunk may go to the scanner now; the others must be held back (`hold`). Returns 0 while
 * released bytes must go first.
 */
export function contentOf(held: Held, chunk: Uint8Array): number {
  let end = chunk.length
  while (end > 0 && PADS[chunk[end - 1] as number] === 1) end--
  if (end > 0) {
    held.refused = false
    if (held.bytes > 0) held.released = true
  }
  if (held.released) return 0
  if (held.refused) return chunk.length
  if (held.bytes > 0) return 0
  while (end < chunk.length && chunk[end] !== NUL && chunk[end] !== CTRL_Z) end++
  return end
}

/** Holds bytes back. Releases padding that changes too often. */
export function hold(held: Held, bytes: Uint8Array): void {
  let last = held.runs.at(-1)
  for (const byte of bytes) {
    if (last?.byte === byte) last.count++
    else {
      last = { byte, count: 1 }
      held.runs.push(last)
    }
  }
  held.bytes += bytes.length
  if (held.runs.length <= MAX_RUNS) return
  held.released = true
  held.refused = true
}

/** Writes released bytes into `target` from `at` up to `end`, and returns the index after them. */
export function pour(held: Held, target: Uint8Array, at: number, end: number): number {
  let o = at
  let done = 0
  for (const run of held.runs) {
    const count = Math.min(run.count, end - o)
    target.fill(run.byte, o, o + count)
    o += count
    run.count -= count
    if (run.count > 0) break
    done++
  }
  held.runs.splice(0, done)
  held.bytes -= o - at
  if (held.bytes === 0) held.released = false
  return o
}

/** Returns the index after the content of a text: the rest is padding, by the rules of `hold` and `contentOf`. */
export function endOfContent(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && PADS[bytes[end - 1] as number] === 1) end--
  while (end < bytes.length && bytes[end] !== NUL && bytes[end] !== CTRL_Z) end++
  return end
}
