import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { FindUser } from './find-user.ts'
import { issueToken, readToken } from './tokens.ts'

/** The cookie that carries the token of a browser. */
export const SESSION_COOKIE = 'aduana_session'

/** Who is logged in, and until when. */
export interface Session {
  principal: Principal
  expiresAt: Date
}

/** Issue a token for `principal` and also set it as a cookie that no script can read. */
export function openSession(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  principal: Principal,
): { token: string; expiresAt: Date } {
  const issued = issueToken(app, principal.userId)
  reply.setCookie(SESSION_COOKIE, issued.token, { ...cookieOptions(request), expires: issued.expiresAt })
  return issued
}

/** Take the cookie away. */
export function closeSession(request: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(SESSION_COOKIE, cookieOptions(request))
}

/**
 * The session of a request: a token in the Authorization header, or else in the cookie.
 * @throws ProblemError `unauthenticated` or `token_expired`
 */
export async function findSession(
  app: FastifyInstance,
  findUser: FindUser,
  request: FastifyRequest,
): Promise<Session> {
  const { userId, expiresAt } = readToken(app, tokenOf(request))
  const principal = await findUser(userId)
  if (!principal) throw new ProblemError('unauthenticated', 'The account does not exist or is disabled.')
  return { principal, expiresAt }
}

function tokenOf(request: FastifyRequest): string {
  const { authorization } = request.headers
  if (authorization === undefined) {
    const cookie = request.cookies[SESSION_COOKIE]
    if (cookie) return cookie
    throw new ProblemError(
      'unauthenticated',
      'Log in at POST /api/auth/login and send the token as "Authorization: Bearer …".',
    )
  }
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
  if (token) return token
  throw new ProblemError('unauthenticated', 'The Authorization header must read "Bearer <token>".')
}

function cookieOptions(request: FastifyRequest) {
  return { path: '/', httpOnly: true, sameSite: 'strict' as const, secure: request.protocol === 'https' }
}
