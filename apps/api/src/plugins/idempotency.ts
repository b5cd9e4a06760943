import { ProblemError } from '@aduana/contracts/problems'
import { type IdempotentResult, type RepeatableRequest, requestDigest } from '@aduana/jobs/accept/idempotency'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { principalOf } from './access.ts'

/** The header schema of a route that creates something. */
export const IdempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .describe(
      'A key of your choice, 1 to 255 visible ASCII characters. The same request with the same key returns the first response again, with `Idempotency-Replayed: true`, and creates nothing.',
    ),
})

/** Returns the idempotency key of a request; undefined without one. @throws ProblemError `bad_request` when it is invalid */
export function idempotencyKey(request: FastifyRequest): string | undefined {
  const parsed = IdempotencyHeaders.safeParse(request.headers)
  if (parsed.success) return parsed.data['idempotency-key']
  throw new ProblemError('bad_request', 'The Idempotency-Key must be 1 to 255 visible ASCII characters.', {
    errors: [{ field: 'idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }],
  })
}

/**
 * Returns the request with its idempotency key; undefined without one. `asked` is its content besides the path: fields, a
 * JSON body, the SHA-256 of a file.
 * @throws ProblemError `bad_request`
 */
export function repeatable(
  request: FastifyRequest,
  asked: Readonly<Record<string, unknown>>,
): RepeatableRequest | undefined {
  const key = idempotencyKey(request)
  if (key === undefined) return undefined
  const path = request.url.split('?', 1)[0] ?? ''
  return {
    userId: principalOf(request).userId,
    key,
    requestSha256: requestDigest(request.method, path, asked),
  }
}

/** Sets status and headers of the response to a request that creates something. The caller sends the body. */
export function replyIdempotent(reply: FastifyReply, result: IdempotentResult<unknown>): FastifyReply {
  if (result.replayed) reply.header('idempotency-replayed', 'true')
  return reply.status(result.status)
}
