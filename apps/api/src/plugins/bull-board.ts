import { PROBLEMS, type ProblemCode, ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { inTransaction } from '@aduana/db/database'
import { createBullBoard } from '@bull-board/api'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from './access.ts'
import { problemDocument, sendProblem, toProblem } from './problems.ts'
import { INLINE_STYLE_POLICY } from './security-headers.ts'

/** The path of Bull Board. */
const BOARD_PATH = '/admin/queues'

/** Registers Bull Board, for admins only: its pages, API and files. Changes are audited. */
export async function registerBullBoard(
  app: FastifyInstance,
  { board, db, pingRedis }: Pick<ApiContext, 'board' | 'db' | 'pingRedis'>,
): Promise<void> {
  const adapter = new FastifyAdapter()
  adapter.setBasePath(BOARD_PATH)
  createBullBoard({
    queues: board,
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Aduana', hideRedisDetails: true } },
  })
  adapter.setErrorHandler((error) => {
    app.log.error({ event: 'board.failed', err: error })
    return { status: 500, body: { error: toProblem(error).message } }
  })
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'admin', page: true, helmet: INLINE_STYLE_POLICY }
    })
    scope.addHook('preHandler', async (request, reply) => {
      if (!request.url.startsWith(`${BOARD_PATH}/api/`)) return
      // Otherwise BullMQ, and the page, would wait until Redis is back.
      const ready = await pingRedis().then(
        () => true,
        () => false,
      )
      if (ready) return
      const detail =
        'Redis is not available. Imports are still accepted, and continue when Redis is available again. Try again later.'
      return sendProblem(request, reply, new ProblemError('unavailable', detail, { retryAfterSeconds: 5 }))
    })
    scope.addHook('onSend', withoutForeignFonts)
    scope.addHook('onSend', withProblemDocument)
    // Before the response, so that a change is in the audit log when its client sees the response.
    scope.addHook('onSend', async (request, reply) => {
      if (request.method === 'GET' || request.method === 'HEAD' || reply.statusCode >= 400) return
      const path = request.url.slice(BOARD_PATH.length, BOARD_PATH.length + 300)
      await inTransaction(db, (tx) =>
        audit(tx, {
          actor: principalOf(request).userId,
          action: 'board.change',
          subjectType: 'queue',
          subjectId: path,
          details: { method: request.method },
        }),
      )
    })
    await scope.register(adapter.registerPlugin(), { prefix: BOARD_PATH })
  })
}

/** Turns an error of Bull Board into a problem document. Its pages show the member `error`. */
async function withProblemDocument(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (reply.statusCode < 400 || typeof payload !== 'string') return payload
  if (String(reply.getHeader('content-type')).startsWith('application/problem+json')) return payload
  const refusal = Refusal.safeParse(parsed(payload))
  const error = refusal.success ? refusal.data.error : 'Bull Board refused the request.'
  const problem = new ProblemError(codeOf(reply.statusCode), error, { error })
  reply.status(PROBLEMS[problem.code].status).type('application/problem+json')
  reply.removeHeader('content-length')
  return JSON.stringify({ ...problemDocument(problem), instance: request.id })
}

const Refusal = z.object({ error: z.string() })

function codeOf(status: number): ProblemCode {
  if (status === 404) return 'not_found'
  if (status === 503) return 'unavailable'
  return status < 500 ? 'bad_request' : 'internal'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Removes the fonts of Google from the page; the content security policy blocks them anyway. */
async function withoutForeignFonts(
  _request: FastifyRequest,
  _reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (typeof payload !== 'string') return payload
  return payload.replace(/<link[^>]+fonts\.googleapis\.com[^>]*>/, '')
}
