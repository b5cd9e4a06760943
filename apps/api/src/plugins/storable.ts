import { ProblemError } from '@aduana/contracts/problems'
import { STORABLE_TEXT_RULE, unstorableParts } from '@aduana/contracts/text'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './problems.ts'

/**
 * Refuses requests with text that PostgreSQL cannot store in the path, the query or the JSON body. Forms are checked as they
 * arrive; headers cannot contain such text.
 */
export function registerStorableText(app: FastifyInstance): void {
  app.addHook('preValidation', async (request, reply) => {
    const { params, query, body } = request
    const errors = [params, query, body]
      .flatMap(unstorableParts)
      .map((field) => ({ field, message: STORABLE_TEXT_RULE }))
    const [first] = errors
    if (!first) return
    const place = first.field === '' ? 'The body' : `"${first.field}"`
    // Not thrown: a plugin with its own error handler would send another body.
    return sendProblem(
      request,
      reply,
      new ProblemError('bad_request', `${place} ${first.message}.`, { errors }),
    )
  })
}
