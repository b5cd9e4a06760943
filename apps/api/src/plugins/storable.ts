import { ProblemError } from '@aduana/contracts/problems'
import { unstorableParts } from '@aduana/contracts/text'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './problems.ts'

/**
 * Refuse every request whose address or JSON body holds text that PostgreSQL cannot store, on every route. Forms are
 * checked as they arrive; headers cannot hold such text.
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
    // Not thrown: a plugin with an error handler of its own would send its own answer.
    return sendProblem(
      request,
      reply,
      new ProblemError('bad_request', `${place}: ${first.message}.`, { errors }),
    )
  })
}
