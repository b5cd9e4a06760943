import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { backoff } from '@aduana/runtime/backoff'
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { toStoreError, withStoreErrors } from './s3-errors.ts'
import { StoreError } from './store.ts'

/** Maximum number of consecutive broken connections without a byte in between. */
const MAX_BREAKS = 5
const BACKOFF_MS = { first: 100, longest: 1600 }

/**
 * Reads an object from its beginning. When a connection breaks, a new one continues at the same byte of the same object.
 * Destroying the stream closes the connection at once, also while it waits for bytes.
 * @throws StoreError `missing`; the stream fails with `unavailable` or `damaged`
 */
export async function openObject(client: S3Client, Bucket: string, Key: string): Promise<Readable> {
  const what = `Reading ${Key}`
  const left = new AbortController()
  let body: Readable | undefined
  const ask = async (more: { Range?: string; IfMatch?: string | undefined } = {}) => {
    const command = new GetObjectCommand({ Bucket, Key, ...more })
    const answer = await withStoreErrors(client.send(command, { abortSignal: left.signal }), what)
    body = bodyOf(answer.Body)
    if (left.signal.aborted) body.destroy()
    return { ...answer, body }
  }
  const { body: first, ETag, ContentLength: length } = await ask()
  const from = async (offset: number) => (await ask({ Range: `bytes=${offset}-`, IfMatch: ETag })).body
  return closable(readToEnd(first, from, { length, what, left: left.signal }), () => {
    left.abort()
    body?.destroy()
  })
}

async function* readToEnd(
  first: Readable,
  from: (offset: number) => Promise<Readable>,
  { length, what, left }: { length: number | undefined; what: string; left: AbortSignal },
): AsyncGenerator<Buffer, void> {
  let offset = 0
  let breaks = 0
  let chunks = chunksOf(first)
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => ({ broken: error }))
    left.throwIfAborted()
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
    if (breaks > MAX_BREAKS) throw toStoreError(error, what)
    await delay(backoff(breaks, BACKOFF_MS), undefined, { signal: left })
    chunks = chunksOf(await from(offset))
  }
}

/** Returns a stream of chunks that calls `leave` when it ends, fails or is destroyed, without waiting for the next chunk. */
function closable(chunks: AsyncGenerator<Buffer, void>, leave: () => void): Readable {
  return new Readable({
    read() {
      chunks.next().then(
        ({ value, done }) => this.push(done ? null : value),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      )
    },
    destroy: (error, done) => {
      leave()
      done(error)
    },
  })
}

function chunksOf(body: Readable): AsyncIterator<Buffer> {
  return body[Symbol.asyncIterator]()
}

function bodyOf(body: unknown): Readable {
  if (body instanceof Readable) return body
  throw new Error('the SDK returned no stream')
}
