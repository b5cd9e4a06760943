import { open, stat } from 'node:fs/promises'
import { EngineError } from './errors.ts'
import { unpackGzip } from './gzip.ts'
import type { Encoding } from './text.ts'
import { utf16Decoder } from './utf16.ts'

/** How an original is compressed. */
export type SourceFormat = 'plain' | 'gzip'

/** An original on disk and what is known about its bytes. */
export interface Source {
  readonly path: string
  readonly format: SourceFormat
  readonly encoding: Encoding
  /** Rejects a compressed original that unpacks to more bytes than this. */
  readonly maxBytes?: number
}

/** Counters of a reading in progress: `read` of `total` bytes of the file on disk, `out` bytes after unpacking. */
export interface SourceProgress {
  read: number
  total: number
  out: number
}

const CHUNK = 1 << 20
/**
 * Maximum ratio of unpacked to compressed size of a gzip file. Deflate reaches 1,032. Among legitimate files, the
 * highest ratios are those of thousands of columns that are nearly all empty: about 345.
 */
export const MAX_UNPACK_RATIO = 400
/** Up to this size, any ratio is allowed: a page of blanks is harmless. */
const RATIO_FLOOR = 4 << 20

/**
 * Returns the maximum number of bytes that an original of `size` bytes on disk may unpack to. A compressed file above
 * it is rejected, by its ratio or by `maxBytes`.
 */
export function mostUnpackedBytes(
  format: SourceFormat,
  size: number,
  maxBytes = Number.POSITIVE_INFINITY,
): number {
  return format === 'plain' ? size : Math.min(maxBytes, Math.max(RATIO_FLOOR, size * MAX_UNPACK_RATIO))
}

/**
 * Reads an original from the start as the byte stream that offsets refer to: decompressed, and UTF-16 decoded to UTF-8.
 * Reads one chunk ahead. Throws `bad_input` for gzip that is damaged, truncated or followed by other bytes, and for a
 * decompression bomb.
 */
export async function* readSource(
  source: Source,
  progress: SourceProgress,
): AsyncGenerator<Buffer, void, void> {
  progress.total = (await stat(source.path)).size
  const bytes = source.format === 'gzip' ? unpack(source, progress) : readFile(source.path, progress)
  if (source.encoding !== 'utf-16le' && source.encoding !== 'utf-16be') {
    for await (const chunk of bytes) {
      progress.out += chunk.length
      yield chunk
    }
    return
  }
  const decoder = utf16Decoder(source.encoding)
  for await (const chunk of bytes) {
    const text = decoder.write(chunk)
    progress.out += text.length
    yield text
  }
  const rest = decoder.end()
  progress.out += rest.length
  if (rest.length > 0) yield rest
}

/** Returns counters for `readSource`. */
export function sourceProgress(): SourceProgress {
  return { read: 0, total: 0, out: 0 }
}

// Two buffers: the consumer holds one while the other is filled.
async function* readFile(path: string, progress: SourceProgress): AsyncGenerator<Buffer, void, void> {
  const file = await open(path, 'r')
  const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const
  let position = 0
  let next = file.read(buffers[0], 0, CHUNK, position)
  try {
    for (let turn = 1; ; turn = 1 - turn) {
      const { bytesRead, buffer } = await next
      if (bytesRead === 0) return
      position += bytesRead
      progress.read = position
      next = file.read(turn === 0 ? buffers[0] : buffers[1], 0, CHUNK, position)
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    // A consumer that stopped early leaves a read in flight whose outcome is not needed.
    await Promise.allSettled([next])
    await file.close()
  }
}

async function* unpack(source: Source, progress: SourceProgress): AsyncGenerator<Buffer, void, void> {
  const onRead = (bytes: number) => {
    progress.read += bytes
  }
  let out = 0
  for await (const chunk of unpackGzip(source.path, onRead)) {
    out += chunk.length
    assertNoBomb(out, progress.total, source.maxBytes)
    yield chunk
  }
}

function assertNoBomb(out: number, size: number, maxBytes?: number): void {
  if (out <= mostUnpackedBytes('gzip', size, maxBytes)) return
  const limit =
    maxBytes !== undefined && out > maxBytes
      ? `the allowed ${maxBytes} bytes`
      : `${MAX_UNPACK_RATIO} times its size. Send the file uncompressed`
  throw new EngineError('bad_input', `the compressed file unpacks to more than ${limit}`)
}
