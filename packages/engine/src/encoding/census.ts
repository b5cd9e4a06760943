import { sequenceAt, type Utf8Tally } from '../utf8.ts'

/** Kinds of neighbours of a byte: no letter, a digit, an ASCII letter, or another non-ASCII byte. */
export const OTHER = 0
export const DIGIT = 1
export const LOWER = 2
export const UPPER = 3
/** Byte 0x80 as a neighbour; the others follow. */
export const FIRST_HIGH = 4
const NEIGHBOURS = FIRST_HIGH + 128

/** The contexts of the non-ASCII bytes of a text: all that is needed to guess its encoding. */
export interface Census {
  readonly utf8: Utf8Tally
  /** Number of bytes from 0x80 on. */
  readonly characters: number
  /** How often each byte from 0x80 on occurs between each pair of neighbours. */
  readonly contexts: readonly Context[]
  /** The first byte that is not part of a UTF-8 sequence, with its line number; null if there is none. */
  readonly firstInvalid: { readonly line: number; readonly sample: Sample } | null
}

/** A byte (from 0x80 on) between two neighbours. */
export interface Context {
  readonly before: number
  readonly byte: number
  readonly after: number
  /** Number of occurrences in the text. */
  readonly count: number
  /** Its first occurrence; null for some contexts if there are thousands of them. */
  readonly sample: Sample | null
}

/** A piece of a text, and the index of the byte in it that it illustrates. */
export interface Sample {
  readonly bytes: Uint8Array
  readonly at: number
}

/** Takes the census of a text, chunk by chunk. */
export interface CensusTaker {
  add(chunk: Uint8Array): void
  /** Returns the census. `complete`: the text ends with the last chunk. */
  finish(complete: boolean): Census
}

const SAMPLES = 4096
/** Number of bytes before and after the byte that a sample illustrates; more than any UTF-8 sequence has. */
const AROUND = 12

const NEIGHBOUR_OF = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return FIRST_HIGH + byte - 0x80
  if (byte >= 0x61 && byte <= 0x7a) return LOWER
  if (byte >= 0x41 && byte <= 0x5a) return UPPER
  return byte >= 0x30 && byte <= 0x39 ? DIGIT : OTHER
})

const LF = 0x0a

/** Creates an empty census. `lineEnd` is the byte that ends its lines. */
export function createCensus(lineEnd = LF): CensusTaker {
  const utf8 = { sequences: 0, invalid: 0 }
  const counts = new Uint32Array(NEIGHBOURS * 128 * NEIGHBOURS)
  const seen: number[] = []
  const samples: Sample[] = []
  // A copy of the last bytes so far (a slice of a Buffer would be a view of what is read next). Those from `begin` on
  // are not counted yet; the first `inSequence` of these belong to a valid UTF-8 sequence.
  let rest: Uint8Array = new Uint8Array(0)
  let begin = 0
  let inSequence = 0
  // Line ends before `begin`, counted until the first invalid byte.
  let lines = 0
  let firstInvalid: Census['firstInvalid'] = null

  const count = (bytes: Uint8Array, end: number) => {
    let sequenceEnd = begin + inSequence
    for (let at = begin; at < end; at++) {
      const byte = bytes[at] as number
      // Most bytes are ASCII and need no further work.
      if (byte < 0x80) continue
      if (at >= sequenceEnd) {
        const length = sequenceAt(bytes, at, bytes.length)
        if (length > 0) {
          utf8.sequences++
          sequenceEnd = at + length
        } else {
          utf8.invalid++
          firstInvalid ??= {
            line: 1 + lines + countOf(lineEnd, bytes.subarray(begin, at)),
            sample: sampleAt(bytes, at),
          }
        }
      }
      const before = at === 0 ? OTHER : (NEIGHBOUR_OF[bytes[at - 1] as number] as number)
      const after = at + 1 < bytes.length ? (NEIGHBOUR_OF[bytes[at + 1] as number] as number) : OTHER
      const index = (before * 128 + byte - 0x80) * NEIGHBOURS + after
      const known = counts[index] as number
      if (known === 0) note(index, bytes, at)
      counts[index] = known + 1
    }
    if (!firstInvalid) lines += countOf(lineEnd, bytes.subarray(begin, end))
    const keep = Math.max(0, end - AROUND)
    rest = new Uint8Array(bytes.subarray(keep))
    begin = end - keep
    inSequence = Math.max(0, sequenceEnd - end)
  }
  const note = (index: number, bytes: Uint8Array, at: number) => {
    if (seen.length < SAMPLES) samples.push(sampleAt(bytes, at))
    seen.push(index)
  }
  return {
    add(chunk) {
      if (rest.length > 0 && chunk.length > 3 * AROUND) {
        // The seam of two chunks is counted separately: joining the chunks would copy the whole text.
        count(joined(rest, chunk.subarray(0, 2 * AROUND)), rest.length + AROUND)
        rest = new Uint8Array(0)
        begin = AROUND
      }
      const bytes = rest.length === 0 ? chunk : joined(rest, chunk)
      const end = bytes.length - AROUND
      if (end > begin) count(bytes, end)
      else rest = new Uint8Array(bytes)
    },
    finish(complete) {
      if (complete) count(rest, rest.length)
      const contexts = seen.map((index, n) => {
        const after = index % NEIGHBOURS
        const pair = (index - after) / NEIGHBOURS
        const known = counts[index] ?? 0
        return {
          before: pair >> 7,
          byte: 0x80 + (pair & 127),
          after,
          count: known,
          sample: samples[n] ?? null,
        }
      })
      const characters = contexts.reduce((sum, one) => sum + one.count, 0)
      return { utf8, characters, contexts, firstInvalid }
    },
  }
}

function sampleAt(bytes: Uint8Array, at: number): Sample {
  const from = Math.max(0, at - AROUND)
  return { bytes: new Uint8Array(bytes.subarray(from, at + AROUND + 1)), at: at - from }
}

function countOf(byte: number, bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) count++
  return count
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(left.length + right.length)
  both.set(left)
  both.set(right, left.length)
  return both
}
