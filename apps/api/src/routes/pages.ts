import { LoginRequest } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { indexPage, loginPage, STYLE } from '../pages/render.ts'
import { wordsFor } from '../pages/words.ts'
import type { FindUser } from '../users/find-user.ts'
import { login } from '../users/login.ts'
import type { LoginThrottle } from '../users/login-throttle.ts'
import { closeSession, findSession, openSession } from '../users/session.ts'

const Next = z.object({ next: z.string().max(2000).optional() })
const HIDDEN = { config: { access: 'public' }, schema: { hide: true } } as const

/** The pages of the API itself: a login page, for Bull Board and the like, and an index. */
export async function pageRoutes(
  app: FastifyInstance,
  { db }: ApiContext,
  users: { throttle: LoginThrottle; findUser: FindUser },
): Promise<void> {
  await app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      async (_: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
    )

    scope.get('/', HIDDEN, async (request, reply) => {
      const session = await findSession(app, users.findUser, request).catch(nobody)
      return html(reply, indexPage(wordsFor(request.headers['accept-language']), session?.principal.email))
    })

    scope.get('/login', HIDDEN, async (request, reply) => {
      const next = localPath(Next.parse(request.query).next)
      return html(reply, loginPage(wordsFor(request.headers['accept-language']), next))
    })

    scope.post('/login', HIDDEN, async (request, reply) => {
      const next = localPath(Next.parse(request.body).next)
      const user = await tryLogin(request)
      if (user instanceof ProblemError) return refuse(request, reply, next, user)
      openSession(app, request, reply, user)
      return reply.redirect(next, 303)
    })

    scope.post('/logout', HIDDEN, async (request, reply) => {
      closeSession(request, reply)
      return reply.redirect('/', 303)
    })

    scope.get('/style.css', HIDDEN, async (_request, reply) =>
      reply.type('text/css; charset=utf-8').send(STYLE),
    )
  })

  async function tryLogin(request: FastifyRequest) {
    const form = LoginRequest.strip().safeParse(request.body)
    try {
      if (!form.success) throw new ProblemError('bad_credentials', 'E-mail and password are needed.')
      return await login({ db, throttle: users.throttle }, { ...form.data, address: request.ip })
    } catch (error) {
      if (error instanceof ProblemError) return error
      throw error
    }
  }
}

function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  next: string,
  problem: ProblemError,
): FastifyReply {
  const words = wordsFor(request.headers['accept-language'])
  const tooMany = problem.code === 'too_many_logins'
  return html(
    reply.status(tooMany ? 429 : 401),
    loginPage(words, next, tooMany ? words.tooMany : words.wrong),
  )
}

function html(reply: FastifyReply, page: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(page)
}

/** A path of ours and nothing else: the page must not lead to another site. */
export function localPath(next: string | undefined): string {
  if (next === undefined || !/^\/(?![/\\])/.test(next)) return '/'
  const base = 'http://localhost'
  const url = URL.canParse(next, base) ? new URL(next, base) : undefined
  return url?.origin === base ? `${url.pathname}${url.search}` : '/'
}

function nobody(error: unknown): undefined {
  if (error instanceof ProblemError) return undefined
  throw error
}
