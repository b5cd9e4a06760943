import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { answered, toStoreError } from './s3-errors.ts'
import { StoreError } from './store.ts'

/** Connections that break in a row, without a byte in between, until reading is given up. */
const MOST_BREAKS = 5
const FIRST_PAUSE_MS = 100

/**
 * Read an object from its beginning. A connection that breaks on the way is followed by another one that goes on at the
 * same byte of the same object.
 * @throws StoreError `missing`; the stream fails with `unavailable` or `damaged`
 */
export async function openObject(client: S3Client, Bucket: string, Key: string): Promise<Readable> {
  const what = `Reading ${Key}`
  const first = await answered(client.send(new GetObjectCommand({ Bucket, Key })), what)
  const { ETag, ContentLength: length } = first
  const from = async (offset: number) => {
    const Range = `bytes=${offset}-`
    const IfMatch = ETag
    const again = await answered(client.send(new GetObjectCommand({ Bucket, Key, Range, IfMatch })), what)
    return bodyOf(again.Body)
  }
  return Readable.from(whole(bodyOf(first.Body), from, { length, what }), { objectMode: false })
}

async function* whole(
  first: Readable,
  from: (offset: number) => Promise<Readable>,
  { length, what }: { length: number | undefined; what: string },
): AsyncGenerator<Buffer, void> {
  let body = first
  let offset = 0
  let breaks = 0
  try {
    let chunks = chunksOf(body)
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => ({ broken: error }))
      if (!('broken' in next) && !next.done) {
        offset += next.value.length
        breaks = 0
        yield next.value
        continue
      }
      if (!('broken' in next) && (length === undefined || offset === length)) return
      const error = 'broken' in next ? next.broken : new Error(`it ended after ${offset} of ${length} bytes`)
      if (offset === length) throw new StoreError('damaged', `${what}: ${String(error)}`, { cause: error })
      breaks += 1
      if (breaks > MOST_BREAKS) throw toStoreError(error, what)
      await delay(FIRST_PAUSE_MS * 2 ** (breaks - 1))
      body = await from(offset)
      chunks = chunksOf(body)
    }
  } finally {
    body.destroy()
  }
}

function chunksOf(body: Readable): AsyncIterator<Buffer> {
  return body[Symbol.asyncIterator]()
}

function bodyOf(body: unknown): Readable {
  if (body instanceof Readable) return body
  throw new Error('the SDK has answered without a stream')
}
