import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { StageName } from '@aduana/contracts/stages'

/** A file that a stage needs is missing or differs from what was stored. */
export class LostFileError extends Error {
  override readonly name = 'LostFileError'
  /** What can create it again: the stage that made it, or the uploader of the original. `none` for files of another job. */
  readonly madeBy: StageName | 'uploader' | 'none'
  constructor(message: string, madeBy: StageName | 'uploader' | 'none', options?: ErrorOptions) {
    super(message, options)
    this.madeBy = madeBy
  }
}

/** Returns the SHA-256 of a file in lower-case hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk)
  return hash.digest('hex')
}
