import { ProblemError } from '@aduana/contracts/problems'
import { unstorableParts } from '@aduana/contracts/text'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './problems.ts'

/**
 * Refuse every request whose address or JSON body holds text that PostgreSQL cannot store, whatever its route does with
 * it. Forms are read as they arrive and checked there; headers cannot hold such text.
 */
export function registerStorableText(app: FastifyInstance): void {
  app.addHook('preValidation', async (request, reply) => {
    const { params, query, body } = request
    const errors = [params, query, body]
      .flatMap(unstorableParts)
      .map((field) => ({ field, message: 'must contain neither NUL nor half of a surrogate pair' }))
    const [first] = errors
    if (!first) return
    const place = first.field === '' ? 'the body' : `"${first.field}"`
    // Not thrown: a plugin that brings an error handler of its own would answer in its own words.
    return sendProblem(
      request,
      reply,
      new ProblemError('bad_request', `${place}: ${first.message}.`, { errors }),
    )
  })
}
