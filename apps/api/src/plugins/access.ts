import { hasRole, type Principal, Role } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Session } from '../users/sessions.ts'
import { assertOwnHost, assertOwnOrigin, hasOwnHost, isLoopback } from './origin.ts'
import { sendProblem, toProblem } from './problems.ts'

/**
 * Who may call a route. `public`: everyone. `probe`: requests to an accepted host name. A role: users with it or a higher
 * one. `admin-or-loopback`: an admin, or a program on this machine. `ticket`: the WebSocket route checks tickets itself.
 */
export type Access = 'public' | 'probe' | Role | 'admin-or-loopback' | 'ticket'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** A page for browsers: users who are not logged in are redirected to the login page. */
    page?: boolean
  }
  interface FastifyInstance {
    /** All registered routes with their access. */
    decisions: readonly Decision[]
  }
  interface FastifyRequest {
    session: Session | null
  }
}

/** A route with its access; undefined if it is not declared. */
export interface Decision {
  method: string | string[]
  url: string
  config?: { access?: Access }
}

export interface AccessOptions {
  /** Returns the session of a request. @throws ProblemError when the credentials are missing or invalid */
  authenticate(request: FastifyRequest): Promise<Session>
  /** Other origins that are trusted like the own one. */
  origins: readonly string[]
}

/**
 * Enforces `config.access`, which every route must declare; otherwise the application does not start. Access is checked
 * before the body is read. Cross-site requests of browsers are refused first.
 */
export function registerAccess(app: FastifyInstance, options: AccessOptions): void {
  app.decorateRequest('session', null)
  requireDecisions(app)
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return
    try {
      assertNotForged(request, options.origins)
      await authorize(request, options)
    } catch (error) {
      // Not thrown: a plugin with its own error handler would send another body.
      return sendRefusal(request, reply, error)
    }
  })
}

/** Returns the session of a request to a route that is not public. @throws Error on a public route */
export function sessionOf(request: FastifyRequest): Session {
  if (request.session === null) throw new Error(`${request.routeOptions.url} was reached without a session`)
  return request.session
}

/** Returns the user of a request to a route that is not public. @throws Error on a public route */
export function principalOf(request: FastifyRequest): Principal {
  return sessionOf(request).principal
}

function requireDecisions(app: FastifyInstance): void {
  const routes: Decision[] = []
  app.decorate('decisions', routes)
  app.addHook('onRoute', (route) => {
    routes.push(route)
  })
  app.addHook('onReady', async () => {
    const undecided = routes.filter((route) => route.config?.access === undefined)
    if (undecided.length > 0)
      throw new Error(`routes without config.access: ${undecided.map((route) => route.url).join(', ')}`)
  })
}

async function authorize(request: FastifyRequest, { authenticate, origins }: AccessOptions): Promise<void> {
  const { access } = request.routeOptions.config
  if (access === 'public' || access === 'ticket') return
  if (access === 'probe') return assertOwnHost(request, origins)
  if (access === 'admin-or-loopback' && isLoopback(request.ip) && hasOwnHost(request, origins)) return
  const needed = access === 'admin-or-loopback' ? 'admin' : Role.parse(access)
  const session = await authenticate(request)
  const { role } = session.principal
  if (!hasRole(role, needed))
    throw new ProblemError(
      'forbidden',
      `This request requires the role ${needed}, but your role is ${role}. Ask an admin.`,
    )
  request.session = session
}

/**
 * Refuses requests that a browser sends for another site. Only credentials that browsers send by themselves (the cookie) can
 * be abused this way; the Authorization header cannot.
 */
function assertNotForged(request: FastifyRequest, origins: readonly string[]): void {
  const safe = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS'
  if (!safe && request.headers.authorization === undefined) assertOwnOrigin(request, origins)
}

function sendRefusal(request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
  const problem = toProblem(error)
  const person = request.routeOptions.config.page === true && request.headers.accept?.includes('text/html')
  if (person && (problem.code === 'unauthenticated' || problem.code === 'token_expired'))
    return reply.redirect(`/login?next=${encodeURIComponent(request.url)}`)
  if (problem.code === 'internal' || problem.code === 'unavailable')
    request.log.error({ event: 'http.access_not_decided', err: error })
  return sendProblem(request, reply, problem)
}
