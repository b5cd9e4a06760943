import { createHash } from 'node:crypto'
import { RefusedError } from '../refused.ts'

/** What was announced about a file. */
export interface Expected {
  /** Lower-case hexadecimal. */
  sha256: string
  bytes?: number
  /** Maximum number of bytes to read. */
  mostBytes: number
}

/** Yields the bytes of a file. Throws at the end of the stream if they differ from what was announced. */
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
  if (bytes !== undefined && read !== bytes) throw differs(url, `it has ${read} bytes instead of ${bytes}`)
  const found = hash.digest('hex')
  if (found !== sha256) throw differs(url, `its SHA-256 is ${found} instead of ${sha256}`)
}

function differs(url: string, what: string): RefusedError {
  return new RefusedError({
    code: 'checksum_mismatch',
    detail: `${url} differs from what was announced: ${what}. Nothing was changed. Write the file again and complete a new attempt of the run.`,
  })
}
