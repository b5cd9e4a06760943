import { LoginRequest } from '@aduana/contracts/identity'
import { PROBLEMS, ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { indexPage, loginPage, STYLE } from '../pages/render.ts'
import { type Words, wordsFor } from '../pages/words.ts'
import { sendRetryAfter } from '../plugins/problems.ts'
import { type Logins, login } from '../users/login.ts'
import { closeSession, findSession, openSession } from '../users/session-of-request.ts'
import type { FindPrincipal } from '../users/sessions.ts'

const Next = z.object({ next: z.string().max(2000).optional() })
const HIDDEN = { config: { access: 'public' }, schema: { hide: true } } as const

/** The pages of the API: an index, and a login page for Bull Board. */
export async function pageRoutes(
  app: FastifyInstance,
  logins: Logins,
  findPrincipal: FindPrincipal,
): Promise<void> {
  const { db } = logins
  await app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      async (_: unknown, body: string) => Object.fromEntries(new URLSearchParams(body)),
    )

    scope.get('/', HIDDEN, async (request, reply) => {
      const session = await findSession(app, findPrincipal, request).catch(notLoggedIn)
      return html(reply, indexPage(wordsFor(request.headers['accept-language']), session?.principal.email))
    })

    scope.get('/login', HIDDEN, async (request, reply) => {
      const next = localPath(nextOf(request.query))
      return html(reply, loginPage(wordsFor(request.headers['accept-language']), next))
    })

    scope.post('/login', HIDDEN, async (request, reply) => {
      const next = localPath(nextOf(request.body))
      const user = await tryLogin(request)
      if (user instanceof ProblemError) return refuse(request, reply, next, user)
      openSession(app, request, reply, user)
      return reply.redirect(next, 303)
    })

    scope.post('/logout', HIDDEN, async (request, reply) => {
      const session = await findSession(app, findPrincipal, request).catch(notLoggedIn)
      if (session) await closeSession(db, session, request, reply)
      return reply.redirect('/', 303)
    })

    scope.get('/style.css', HIDDEN, async (_request, reply) =>
      reply.type('text/css; charset=utf-8').send(STYLE),
    )
  })

  async function tryLogin(request: FastifyRequest) {
    const form = LoginRequest.strip().safeParse(request.body)
    try {
      if (!form.success) throw new ProblemError('bad_credentials', 'E-mail and password are required.')
      return await login(logins, { ...form.data, address: request.ip })
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
  sendRetryAfter(reply, problem)
  return html(reply.status(PROBLEMS[problem.code].status), loginPage(words, next, reasonOf(problem, words)))
}

function reasonOf({ code }: ProblemError, words: Words): string {
  if (code === 'too_many_logins') return words.tooMany
  return code === 'logins_busy' ? words.busy : words.wrong
}

function html(reply: FastifyReply, page: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(page)
}

/** Returns the page to go to after a login; undefined when it is missing or unreadable. */
function nextOf(form: unknown): string | undefined {
  return Next.safeParse(form).data?.next
}

/** Returns a path of this API, `/` for anything else: a redirect must not lead to another site. */
function localPath(next: string | undefined): string {
  if (next === undefined || !/^\/(?![/\\])/.test(next)) return '/'
  const base = 'http://localhost'
  const url = URL.canParse(next, base) ? new URL(next, base) : undefined
  return url?.origin === base ? `${url.pathname}${url.search}` : '/'
}

function notLoggedIn(error: unknown): undefined {
  if (error instanceof ProblemError) return undefined
  throw error
}
