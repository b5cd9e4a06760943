import { type FileHandle, open } from 'node:fs/promises'
import { EngineError } from './errors.ts'
import { readSource, type Source, sourceProgress } from './source.ts'
import { byteEncoding, capBytes, decodeText } from './text.ts'
import { firstInvalidUnit, type InvalidUnit, utf16Bytes } from './utf16.ts'

/** The exact text of a record, and its position. */
export interface CutText {
  raw: string
  /** The record is longer than the limit. */
  truncated: boolean
  /** Offset in the original after unpacking, in bytes as received. */
  offset: number
  length: number
  /** For a UTF-16 original, the position of the first invalid code unit in the record. */
  invalid: InvalidUnit | null
}

/** Cuts records out of an original in one pass from front to back. */
export interface Cutter {
  /**
   * Returns the text at an offset of the byte stream that parsing reads. The offset must not lie before the end of an
   * earlier one. Throws `bad_input` beyond the end of the original.
   */
  cut(offset: number, length: number): CutText | Promise<CutText>
  close(): Promise<void>
}

/** Default limit for the bytes of a record that are cut. */
export const MAX_CUT_BYTES = 64 << 10
const WINDOW = 1 << 20

/**
 * Opens an original to cut the text of records out of it by the offsets that parsing recorded. `encoding` must be the
 * one that parsing reported. A plain file is read only where records are; a compressed or UTF-16 one is read through.
 */
export function openCutter(source: Source, maxBytes = MAX_CUT_BYTES): Cutter {
  const encoding = byteEncoding(source.encoding)
  if (source.encoding.startsWith('utf-16')) return utf16Cutter(source, maxBytes)
  const window = source.format === 'plain' ? fileWindow(source.path) : streamWindow(source)
  // A sequence that the limit splits needs up to three more bytes to be recognised.
  const wanted = (length: number) => Math.min(length, maxBytes + 3)
  const decode = (bytes: Uint8Array, offset: number, length: number): CutText => {
    const kept = capBytes(bytes, maxBytes, encoding)
    return { raw: decodeText(kept, encoding), truncated: kept.length < length, offset, length, invalid: null }
  }
  return {
    cut(offset, length) {
      const bytes = window.atHand(offset, wanted(length))
      if (bytes) return decode(bytes, offset, length)
      return window.reach(offset, wanted(length)).then((reached) => decode(reached, offset, length))
    },
    close: () => window.close(),
  }
}

// Offsets of the parsing refer to the decoded bytes; those of the original are counted up to them.
function utf16Cutter(source: Source, maxBytes: number): Cutter {
  const stream = readSource(source, sourceProgress())
  let bytes: Buffer = Buffer.alloc(0)
  /**
   * `from`: offset of `bytes` in the decoded stream. Next: the index up to which is counted, and its offset in the
   * original.
   */
  let from = 0
  let at = 0
  let original = 0
  const more = async (needed: number) => {
    const next = await stream.next()
    if (next.done) throw beyond(needed)
    from += at
    bytes = at === bytes.length ? next.value : Buffer.concat([bytes.subarray(at), next.value])
    at = 0
  }
  const countTo = (end: number) => {
    original += utf16Bytes(bytes, at, end)
    at = end
  }
  const countAllTo = async (offset: number) => {
    while (from + bytes.length < offset) {
      countTo(bytes.length)
      await more(offset)
    }
    countTo(offset - from)
  }
  // Called a million times. Spreading objects here would take longer than everything else.
  const cutHere = (length: number): CutText => {
    const kept = capBytes(bytes.subarray(at, at + Math.min(length, maxBytes + 3)), maxBytes, 'utf-8')
    const raw = decodeText(kept, 'utf-8')
    return { raw, truncated: kept.length < length, offset: original, length: 0, invalid: null }
  }
  const cutAtHand = (offset: number, length: number): CutText => {
    countTo(offset - from)
    const text = cutHere(length)
    text.invalid = firstInvalidUnit(bytes, at, at + length, original)
    countTo(at + length)
    text.length = original - text.offset
    return text
  }
  const cutFar = async (offset: number, length: number): Promise<CutText> => {
    await countAllTo(offset)
    const wanted = Math.min(length, maxBytes + 3)
    while (bytes.length - at < wanted) await more(offset + wanted)
    const text = cutHere(length)
    const end = offset + length
    while (from + at < end) {
      if (at === bytes.length) await more(end)
      const upTo = Math.min(bytes.length, end - from)
      text.invalid ??= firstInvalidUnit(bytes, at, upTo, original)
      countTo(upTo)
    }
    text.length = original - text.offset
    return text
  }
  return {
    cut(offset, length) {
      if (offset < from + at) throw outOfOrder(offset, from + at)
      const isAtHand = offset + length <= from + bytes.length
      return isAtHand ? cutAtHand(offset, length) : cutFar(offset, length)
    },
    close: async () => {
      await stream.return()
    },
  }
}

// Returns a part of the byte stream, which moves only forward.
interface Window {
  atHand(offset: number, length: number): Uint8Array | null
  reach(offset: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

function beyond(offset: number): EngineError {
  return new EngineError(
    'bad_input',
    `the original ends before offset ${offset}: it is not the file that was parsed`,
  )
}

function outOfOrder(offset: number, from: number): EngineError {
  return new EngineError('internal', `records must be cut in order; ${offset} lies before ${from}`)
}

/** Returns the bytes at an offset of the stream if `bytes`, which begin at `from`, contain them all. */
function partOf(bytes: Buffer, from: number, offset: number, length: number): Buffer | null {
  const isInside = offset >= from && offset + length <= from + bytes.length
  return isInside ? bytes.subarray(offset - from, offset - from + length) : null
}

function fileWindow(path: string): Window {
  let file: FileHandle | null = null
  let bytes: Buffer = Buffer.alloc(0)
  let from = 0
  const buffer = Buffer.allocUnsafeSlow(WINDOW)
  const atHand = (offset: number, length: number) => partOf(bytes, from, offset, length)
  return {
    atHand,
    async reach(offset, length) {
      file ??= await open(path, 'r')
      let size = 0
      while (size < buffer.length) {
        const { bytesRead } = await file.read(buffer, size, buffer.length - size, offset + size)
        if (bytesRead === 0) break
        size += bytesRead
      }
      from = offset
      bytes = buffer.subarray(0, size)
      const reached = atHand(offset, length)
      if (!reached) throw beyond(offset + length)
      return reached
    },
    close: async () => file?.close(),
  }
}

function streamWindow(source: Source): Window {
  const stream = readSource(source, sourceProgress())
  let bytes: Buffer = Buffer.alloc(0)
  let from = 0
  const atHand = (offset: number, length: number) => partOf(bytes, from, offset, length)
  return {
    atHand,
    async reach(offset, length) {
      if (offset < from) throw outOfOrder(offset, from)
      for (;;) {
        const reached = atHand(offset, length)
        if (reached) return reached
        const next = await stream.next()
        if (next.done) throw beyond(offset + length)
        const keep = bytes.subarray(Math.min(Math.max(0, offset - from), bytes.length))
        from += bytes.length - keep.length
        bytes = Buffer.concat([keep, next.value])
      }
    },
    close: async () => {
      await stream.return()
    },
  }
}
