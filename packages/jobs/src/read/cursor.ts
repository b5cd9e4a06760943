import { ProblemError } from '@aduana/contracts/problems'
import { StorableText } from '@aduana/contracts/text'
import { z } from 'zod'

const MAX_BIGINT = 2n ** 63n - 1n

/**
 * Schemas of the columns that lists are ordered by, as they appear in a cursor. Each accepts only text that PostgreSQL
 * accepts for the type, so that a forged cursor is rejected before it reaches a query.
 */
export const CursorColumn = {
  /** `timestamptz`, in UTC with microseconds. */
  moment: z.iso
    .datetime({ precision: 6 })
    .refine((moment) => moment >= '0001', { error: 'must be a time in the year 1 or later' }),
  /** `date`. */
  day: z.iso.date().refine((day) => day >= '0001', { error: 'must be a day in the year 1 or later' }),
  uuid: z.uuid(),
  /** `integer`. */
  integer: z.int32(),
  /** `bigint`, not negative, as text. */
  bigint: z.string().refine((digits) => /^\d{1,19}$/.test(digits) && BigInt(digits) <= MAX_BIGINT, {
    error: 'must be a 64-bit integer',
  }),
  text: StorableText,
} as const

/** Returns a position in a list as opaque text. */
export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/** Returns the position that a cursor encodes. @throws ProblemError `bad_request` when it is not a cursor of this list */
export function decodeCursor<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
  } catch (error) {
    if (!(error instanceof z.ZodError) && !(error instanceof SyntaxError)) throw error
    throw notACursor()
  }
}

/** Returns the error for a cursor that does not belong to a list. */
export function notACursor(): ProblemError {
  return new ProblemError(
    'bad_request',
    'The cursor does not belong to this list. Use `next` of a page of this list, or leave the cursor out.',
    {
      errors: [{ field: 'cursor', message: 'must be the `next` of a page of this list' }],
    },
  )
}
