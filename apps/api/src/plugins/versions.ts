import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'

/** The header schema of a route that writes a new version. */
export const VersionHeaders = z.looseObject({
  'if-match': z
    .string()
    .optional()
    .describe(
      'The `ETag` of the version that you have read, such as `"7"`. If it is not the current version, the response is 412 `version_changed`. Without it the last write wins.',
    ),
})

/** Sets the version as a strong entity tag (RFC 9110, 8.8.3). */
export function tagVersion(reply: FastifyReply, { version }: { version: number }): void {
  reply.header('etag', `"${version}"`)
}

/** Returns the version in If-Match; undefined without it. @throws ProblemError `bad_request` when it is not the tag of a version */
export function seenVersion({ headers }: FastifyRequest): number | undefined {
  const tag = headers['if-match']
  if (tag === undefined) return undefined
  const digits = /^"([1-9]\d{0,8})"$/.exec(tag)?.[1]
  if (digits !== undefined) return Number(digits)
  throw new ProblemError(
    'bad_request',
    'If-Match must be one ETag from a response, such as "7", with its quotes.',
    {
      errors: [{ field: 'if-match', message: 'an ETag such as "7"' }],
    },
  )
}
