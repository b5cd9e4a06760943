import { type InputProblem, problemText, readInput } from '@aduana/contracts/input-problems'
import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sendProblem } from './problems.ts'

type Part = 'params' | 'query' | 'headers' | 'body'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Parts of the request that the route validates itself; its schema only documents them. */
    unchecked?: readonly Part[]
  }
}

const PARTS: readonly { part: Part; schema: 'params' | 'querystring' | 'headers' | 'body'; name: string }[] =
  [
    { part: 'params', schema: 'params', name: 'The path' },
    { part: 'query', schema: 'querystring', name: 'The query string' },
    { part: 'headers', schema: 'headers', name: 'The headers' },
    { part: 'body', schema: 'body', name: 'The body' },
  ]

/**
 * Validates all parts of a request by the schemas of its route, and refuses it with all problems of all parts. Fastify would
 * stop at the first part.
 */
export function registerValidation(app: FastifyInstance): void {
  app.setValidatorCompiler(() => (value) => ({ value }))
  app.addHook('preValidation', async (request, reply) => {
    const found = PARTS.flatMap(({ part, schema, name }) =>
      checkPart(request, part, request.routeOptions.schema?.[schema]).map((problem) => ({
        ...problem,
        name,
      })),
    )
    const [first] = found
    if (!first) return
    const detail = PARTS.map(({ name }) =>
      problemText(
        found.filter((problem) => problem.name === name),
        name,
      ),
    )
    const errors = found.map(({ name, ...problem }) => problem)
    // Not thrown: a plugin with its own error handler would send another body.
    const problem = new ProblemError('bad_request', detail.filter((text) => text !== '').join(' '), {
      errors,
    })
    return sendProblem(request, reply, problem)
  })
}

/** Replaces a part of the request by its parsed value, or returns its problems. */
function checkPart(request: FastifyRequest, part: Part, schema: unknown): InputProblem[] {
  if (!(schema instanceof z.ZodType) || request.routeOptions.config.unchecked?.includes(part)) return []
  const read = readInput(schema, request[part])
  if (read.problems) return read.problems
  // Headers are not replaced.
  if (part !== 'headers') Object.assign(request, { [part]: read.data })
  return []
}
