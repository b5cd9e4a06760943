import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

/** The content of a file: its number of bytes before compression, and their SHA-256 in lower-case hexadecimal. */
export interface PackedContent {
  bytes: number
  sha256: string
}

/** A text file that is compressed by gzip while it is written. */
export interface PackedFile {
  /** Resolves when more can be written. Rejects with the error of the disk. */
  write(text: string): Promise<void>
  /** Writes the rest. Resolves once all of it is in the file. */
  finish(): Promise<PackedContent>
  /** Discards the file. Does nothing after `finish`. */
  abandon(): Promise<void>
}

/** The fastest level; such text shrinks tenfold at any level. */
const LEVEL = 1
const GZIP_MAGIC = [0x1f, 0x8b] as const

/** Creates or replaces a compressed text file at `path`. */
export function createPackedFile(path: string): PackedFile {
  const hash = createHash('sha256')
  const gzip = createGzip({ level: LEVEL })
  const flow = pipeline(gzip, createWriteStream(path))
  // The next write or `finish` reports the error.
  flow.catch(() => undefined)
  let bytes = 0
  return {
    async write(text) {
      if (text === '') return
      const chunk = Buffer.from(text)
      bytes += chunk.length
      hash.update(chunk)
      if (!gzip.write(chunk)) await Promise.race([once(gzip, 'drain'), flow])
    },
    async finish() {
      gzip.end()
      await flow
      return { bytes, sha256: hash.digest('hex') }
    },
    async abandon() {
      gzip.destroy()
      await Promise.allSettled([flow])
    },
  }
}

/** Reads a file from its beginning, and unpacks it if its content is gzip. The reader may stop early. */
export async function* readUnpacked(path: string, chunkSize = 256 << 10): AsyncGenerator<Buffer, void, void> {
  const packed = await isPacked(path)
  const file = createReadStream(path, { highWaterMark: chunkSize })
  if (!packed) {
    yield* file as AsyncIterable<Buffer>
    return
  }
  const gunzip = createGunzip({ chunkSize })
  const flow = pipeline(file, gunzip)
  // The iteration throws the same error.
  flow.catch(() => undefined)
  try {
    yield* gunzip as AsyncIterable<Buffer>
    await flow
  } finally {
    gunzip.destroy()
    file.destroy()
  }
}

async function isPacked(path: string): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === GZIP_MAGIC[0] && buffer[1] === GZIP_MAGIC[1]
  } finally {
    await file.close()
  }
}
