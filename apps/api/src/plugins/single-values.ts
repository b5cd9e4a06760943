import { ProblemError } from '@aduana/contracts/problems'
import { repeatedMember } from '@aduana/contracts/repeated-members'
import { replaceUnstorable } from '@aduana/db/jsonb'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './problems.ts'

/**
 * Refuse every request to the API whose address or JSON body says something twice: which of the two is meant cannot be
 * known. Forms are checked as they arrive.
 */
export function registerDuplicateCheck(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    parse(request, body, (error, value) => {
      const name = error ? undefined : repeatedMember(body)
      if (name === undefined) done(error, value)
      else done(duplicateValue('member', name), undefined)
    })
  })
  app.addHook('preValidation', async (request, reply) => {
    if (!request.url.startsWith('/api/')) return
    const [twice] = Object.entries(Object(request.query)).find(([, value]) => Array.isArray(value)) ?? []
    // Not thrown: a plugin with an error handler of its own would send its own answer.
    if (twice !== undefined) return sendProblem(request, reply, duplicateValue('parameter', twice))
  })
}

/** Returns the problem for a part of a request that is there more than once. */
export function duplicateValue(what: 'field' | 'member' | 'parameter', name: string): ProblemError {
  const field = replaceUnstorable(name)
  return new ProblemError('bad_request', `The ${what} "${field}" was sent more than once. Send it once.`, {
    errors: [{ field, message: 'was sent more than once' }],
  })
}
