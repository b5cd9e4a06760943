import { createHash } from 'node:crypto'
import { RefusedError } from '../refused.ts'

/** What was said of a file. */
export interface Expected {
  /** Lower-case hex. */
  sha256: string
  bytes?: number
  /** More than this is not read. */
  mostBytes: number
}

/** The bytes of a file; the stream fails at its end when they are not those that were announced. */
export async function* readVerified(
  source: AsyncIterable<Buffer>,
  url: string,
  { sha256, bytes, mostBytes }: Expected,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let read = 0
  for await (const chunk of source) {
    read += chunk.length
    if (read > mostBytes) throw differs(url, `it has more than ${mostBytes} bytes`)
    hash.update(chunk)
    yield chunk
  }
  if (bytes !== undefined && read !== bytes) throw differs(url, `it has ${read} bytes in place of ${bytes}`)
  const found = hash.digest('hex')
  if (found !== sha256) throw differs(url, `its SHA-256 is ${found} in place of ${sha256}`)
}

function differs(url: string, what: string): RefusedError {
  return new RefusedError({
    code: 'checksum_mismatch',
    detail: `${url} is not what was announced: ${what}. Nothing was changed. Write it anew and complete a new attempt of the run.`,
  })
}
