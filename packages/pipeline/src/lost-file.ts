import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { StageName } from '@aduana/contracts/stages'

/** A file that a stage needs is gone, or is not what was stored. */
export class LostFileError extends Error {
  override readonly name = 'LostFileError'
  /** Who can make it again: the stage that did, or for the original its sender; nobody what another job has left. */
  readonly madeBy: StageName | 'sender' | 'nobody'
  constructor(message: string, madeBy: StageName | 'sender' | 'nobody', options?: ErrorOptions) {
    super(message, options)
    this.madeBy = madeBy
  }
}

/** The SHA-256 of a file, in lower-case hex. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk)
  return hash.digest('hex')
}
