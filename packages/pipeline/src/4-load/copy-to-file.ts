import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { type Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'

/** Runs a `COPY … TO STDOUT` into a local file, compressed if `gzip` is set. Returns the number of rows. */
export async function copyToFile(
  client: pg.PoolClient,
  statement: string,
  path: string,
  options: { gzip?: boolean } = {},
): Promise<number> {
  const copy = client.query(copyTo(statement))
  await intoFile(copy, path, options.gzip === true)
  // The count arrives after the last row, with the completion of the statement.
  await client.query('select 1')
  return copy.rowCount
}

/**
 * Writes a stream of rows to a file. If the file cannot be written, reads the remaining rows before it throws the
 * error: a connection left in the middle of a COPY becomes unusable.
 */
async function intoFile(copy: Readable, path: string, gzip: boolean): Promise<void> {
  const file = createWriteStream(path)
  const zip = gzip ? createGzip({ level: 1, chunkSize: 256 * 1024 }) : undefined
  const first = zip ?? file
  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= error
  }
  const written = (zip ? pipeline(zip, file) : finished(file)).catch(fail)
  const rows = new Writable({
    write: (chunk, _encoding, done) => {
      if (failure !== undefined || first.destroyed || first.write(chunk)) done()
      else void Promise.race([written, once(first, 'drain').catch(fail)]).then(() => done())
    },
  })
  try {
    await pipeline(copy, rows)
  } finally {
    first.end()
    await written
  }
  if (failure !== undefined) throw failure
}
