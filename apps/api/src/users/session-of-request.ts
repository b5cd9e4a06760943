import { ProblemError } from '@aduana/contracts/problems'
import type { Database } from '@aduana/db/database'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { LoggedIn } from './login.ts'
import { endSession, type FindPrincipal, type Session, type SessionKey } from './sessions.ts'
import { issueToken, readToken } from './tokens.ts'

/** The cookie that carries the token of a browser. */
const SESSION_COOKIE = 'aduana_session'

/** Issues a token for an authenticated user, and also sets it as a cookie that scripts cannot read. */
export function openSession(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  user: LoggedIn,
): { token: string; expiresAt: Date } {
  const { userId } = user.principal
  const issued = issueToken(app, { userId, sessionVersion: user.sessionVersion })
  reply.setCookie(SESSION_COOKIE, issued.token, { ...cookieOptions(request), expires: issued.expiresAt })
  return issued
}

/** Ends a session in every process, and clears the cookie. */
export async function closeSession(
  db: Database,
  session: Session,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  await endSession(db, session)
  reply.clearCookie(SESSION_COOKIE, cookieOptions(request))
}

/**
 * Returns the session of a request, by the token in the Authorization header, or otherwise in the cookie. The account and
 * the session are read for every request.
 * @throws ProblemError `unauthenticated` or `token_expired`
 */
export async function findSession(
  app: FastifyInstance,
  findPrincipal: FindPrincipal,
  request: FastifyRequest,
): Promise<Session> {
  return requireSession(findPrincipal, readToken(app, tokenOf(request)))
}

/** Returns a session that is still valid. @throws ProblemError `unauthenticated` */
export async function requireSession(findPrincipal: FindPrincipal, key: SessionKey): Promise<Session> {
  const principal = await findPrincipal(key)
  if (principal) return { ...key, principal }
  throw new ProblemError(
    'unauthenticated',
    'The session has ended: you logged out, the password was changed, or the account was disabled. Log in again.',
  )
}

function tokenOf(request: FastifyRequest): string {
  const { authorization } = request.headers
  if (authorization === undefined) {
    const cookie = request.cookies[SESSION_COOKIE]
    if (cookie) return cookie
    throw new ProblemError(
      'unauthenticated',
      'You are not logged in. Log in with POST /api/auth/login and send the token as "Authorization: Bearer …".',
    )
  }
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
  if (token) return token
  throw new ProblemError(
    'unauthenticated',
    'The Authorization header is malformed. It must be "Bearer <token>".',
  )
}

function cookieOptions(request: FastifyRequest) {
  return { path: '/', httpOnly: true, sameSite: 'strict' as const, secure: request.protocol === 'https' }
}
