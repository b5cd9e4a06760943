import { ProblemError } from '@aduana/contracts/problems'
import type { z } from 'zod'

/** A position in a list as opaque text. */
export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/** The position that a cursor names. @throws ProblemError `bad_request` when the text is not a cursor of this list */
export function decodeCursor<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
  } catch (error) {
    throw new ProblemError('bad_request', 'The cursor is not one that this list has given out.', {
      cause: String(error),
    })
  }
}
