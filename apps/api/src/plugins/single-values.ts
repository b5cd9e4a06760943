import { ProblemError } from '@aduana/contracts/problems'
import { repeatedMember } from '@aduana/contracts/repeated-members'
import { replaceUnstorable } from '@aduana/db/jsonb'
import type { FastifyInstance } from 'fastify'
import { sendProblem } from './problems.ts'

/**
 * Refuses requests to the API that repeat a query parameter or a member of the JSON body: which value is meant is unknown.
 * Forms are checked as they arrive.
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
    // Not thrown: a plugin with its own error handler would send another body.
    if (twice !== undefined) return sendProblem(request, reply, duplicateValue('parameter', twice))
  })
}

/** Returns the problem for a repeated part of a request. */
export function duplicateValue(what: 'field' | 'member' | 'parameter', name: string): ProblemError {
  const field = replaceUnstorable(name)
  return new ProblemError('bad_request', `The ${what} "${field}" was sent more than once. Send it once.`, {
    errors: [{ field, message: 'was sent more than once' }],
  })
}
