import { StoreError } from '@aduana/artifacts/store'
import { PROBLEMS, type Problem, type ProblemCode, ProblemError } from '@aduana/contracts/problems'
import { isTransient } from '@aduana/db/sql-errors'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Sends every error as a problem document (RFC 9457) with a stable code. Internal details are only logged. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    if (problem.code === 'internal') request.log.error({ event: 'http.failed', err: error })
    else if (problem.code === 'unavailable') request.log.warn({ event: 'http.unavailable', err: error })
    return sendProblem(request, reply, problem)
  })
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      new ProblemError(
        'not_found',
        `${request.method} ${pathOf(request)} is not an endpoint of this API. See /docs for the endpoints.`,
      ),
    ),
  )
}

/** Sends a problem document. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: ProblemError,
): FastifyReply {
  const body: Problem = { ...problemDocument(problem), instance: request.id }
  sendRetryAfter(reply, problem)
  if (body.status === 408) reply.header('connection', 'close')
  if (body.status === 401) reply.header('www-authenticate', 'Bearer realm="aduana"')
  reply.header('x-request-id', request.id)
  // As text, so that no schema of the route is applied: problems have extra members.
  return reply.status(body.status).type('application/problem+json').send(JSON.stringify(body))
}

/** Sets the Retry-After header if the problem has `retryAfterSeconds`. */
export function sendRetryAfter(reply: FastifyReply, { extra: { retryAfterSeconds } }: ProblemError): void {
  if (typeof retryAfterSeconds === 'number')
    reply.header('retry-after', Math.max(1, Math.ceil(retryAfterSeconds)))
}

/** Returns the problem document of an error. */
export function problemDocument(problem: ProblemError): Problem {
  const { status, title } = PROBLEMS[problem.code]
  const type = `urn:aduana:problem:${problem.code}`
  return { ...problem.extra, type, title, status, detail: problem.message, code: problem.code }
}

/** Returns the problem of an error. Unexpected errors become `internal`, without details. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  if (error instanceof StoreError) return storeProblem(error)
  const known = error instanceof Error && 'code' in error ? FASTIFY_CODES[String(error.code)] : undefined
  if (known && error instanceof Error) return new ProblemError(known, sentence(error.message))
  if (isTransient(error))
    return new ProblemError('unavailable', 'The database is not available. Try again in a moment.', {
      retryAfterSeconds: 2,
    })
  if (error instanceof Error && 'statusCode' in error && isClientError(error.statusCode))
    return new ProblemError('bad_request', sentence(error.message))
  return new ProblemError(
    'internal',
    'An internal error occurred. Contact the operator with the id of this request; the log of the API has the details.',
  )
}

const FASTIFY_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'bad_content_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'not_multipart',
  FST_MP_PREMATURE_CLOSE: 'upload_truncated',
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
}

function storeProblem(error: StoreError): ProblemError {
  switch (error.code) {
    case 'too_large':
      return new ProblemError('file_too_large', error.message)
    case 'full':
      return new ProblemError('storage_full', 'The artifact store is full. Contact the operator.')
    case 'missing':
      return new ProblemError(
        'not_found',
        'The file is no longer in the artifact store. Upload it again if you need it.',
      )
    case 'unavailable':
      return new ProblemError('unavailable', 'The artifact store is not available. Try again in a moment.', {
        retryAfterSeconds: 2,
      })
    case 'damaged':
      return new ProblemError('internal', 'The file in the artifact store is damaged. Contact the operator.')
    case 'refused':
    case 'read_only':
    case 'foreign':
      return new ProblemError('unavailable', 'The artifact store is not writable. Contact the operator.')
  }
}

function isClientError(status: unknown): boolean {
  return typeof status === 'number' && status >= 400 && status < 500
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}
