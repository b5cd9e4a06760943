import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { EngineError } from './errors.ts'

/**
 * Yields the unpacked content of a gzip file with one or several members. All bytes of the file must belong to a
 * member, except for zeros at its very end, which tapes and mainframes add. `onRead` is called with the number of
 * packed bytes of each chunk read.
 * @throws EngineError `bad_input` if the file is damaged, truncated, or continues after its last member
 */
export async function* unpackGzip(
  path: string,
  onRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<Buffer, void, void> {
  const file = createReadStream(path, { highWaterMark: 256 << 10 })
  const gunzip = createGunzip({ chunkSize: 256 << 10 })
  file.on('data', (chunk) => onRead(chunk.length))
  // pipeline() destroys both if either fails; the iteration below then throws the same error.
  const flow = pipeline(file, gunzip)
  flow.catch(() => undefined)
  try {
    yield* gunzip as AsyncIterable<Buffer>
    const broken = await flow.then(
      () => undefined,
      (error: unknown) => error,
    )
    // A gunzip that met the end of the last member ends before its input does.
    if (broken && !isEarlyEnd(broken)) throw broken
    await assertEnd(path, gunzip.bytesWritten)
  } catch (error) {
    throw asBadInput(error)
  } finally {
    gunzip.destroy()
    file.destroy()
  }
}

function isEarlyEnd(error: unknown): boolean {
  return error instanceof Error && /abort|premature/i.test(`${error.name} ${error.message}`)
}

/**
 * Rejects a file with other bytes after its last member. zlib stops at the first zero after a member, and reports other
 * bytes only if they are in another chunk. `consumed` is the number of bytes of the file that belong to members.
 */
async function assertEnd(path: string, consumed: number): Promise<void> {
  let at = consumed
  for await (const chunk of createReadStream(path, { start: consumed }) as AsyncIterable<Buffer>) {
    const first = chunk.findIndex((byte) => byte !== 0)
    if (first >= 0)
      throw new EngineError(
        'bad_input',
        `the gzip file has other bytes after its compressed data, which ends at byte ${consumed}; the first is byte ${at + first}. Compress the text again`,
      )
    at += chunk.length
  }
}

function asBadInput(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (!/^(Z_|ERR_ZLIB)/.test(code)) return error
  const message = error instanceof Error ? error.message : code
  const what = code === 'Z_BUF_ERROR' ? 'is truncated' : 'is damaged'
  return new EngineError('bad_input', `the gzip file ${what} (${message}). Send the file again`, {
    cause: error,
  })
}
