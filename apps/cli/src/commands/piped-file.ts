import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { UsageError } from '../errors.ts'
import type { Io } from '../io.ts'

/** Default name of a piped file. */
const PIPED_NAME = 'stdin'

/**
 * Copies standard input to a temporary file for the duration of `use`: an upload sends its size first, and may have to be
 * repeated.
 * @throws UsageError when standard input is a terminal, and what `use` throws
 */
export async function withPipedFile<T>(io: Io, use: (path: string) => Promise<T>): Promise<T> {
  const input = io.input()
  if (input.isTTY)
    throw new UsageError(
      '"-" reads a file from a pipe: zcat production.csv.gz | aduana import - -d production',
    )
  const folder = await mkdtemp(join(tmpdir(), 'aduana-import-'))
  try {
    const path = join(folder, PIPED_NAME)
    await pipeline(input, createWriteStream(path, { mode: 0o600 }), { signal: io.signal }).catch((error) => {
      io.signal.throwIfAborted()
      throw error
    })
    return await use(path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
