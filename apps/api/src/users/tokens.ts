import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { SessionKey } from './sessions.ts'

const ISSUER = 'aduana'
const AUDIENCE = 'aduana-api'

/** The content of a verified token: the user, the session and its version, and the expiry. */
const Claims = z.object({ sub: z.uuid(), jti: z.uuid(), ver: z.int().positive(), exp: z.int() })

/** Returns the options of @fastify/jwt: one algorithm, issuer and audience, and an expiry. */
export function tokenOptions(secret: string, minutes: number) {
  return {
    secret,
    sign: { algorithm: 'HS256' as const, iss: ISSUER, aud: AUDIENCE, expiresIn: minutes * 60 },
    verify: {
      algorithms: ['HS256' as const],
      allowedIss: ISSUER,
      allowedAud: AUDIENCE,
      requiredClaims: ['sub', 'jti', 'ver', 'exp', 'iss', 'aud'],
    },
  }
}

/** Issues the token of a new session of a user. */
export function issueToken(
  app: FastifyInstance,
  user: { userId: string; sessionVersion: number },
): { token: string; expiresAt: Date } {
  const token = app.jwt.sign({ sub: user.userId, jti: crypto.randomUUID(), ver: user.sessionVersion })
  return { token, expiresAt: readToken(app, token).expiresAt }
}

/** Returns the content of a token that this API has signed and that has not expired. @throws ProblemError `token_expired` or `unauthenticated` */
export function readToken(app: FastifyInstance, token: string): SessionKey {
  const claims = Claims.safeParse(verified(app, token))
  if (!claims.success) throw new ProblemError('unauthenticated', 'The token is invalid. Log in again.')
  const { sub, jti, ver, exp } = claims.data
  return { userId: sub, sessionId: jti, version: ver, expiresAt: new Date(exp * 1000) }
}

function verified(app: FastifyInstance, token: string): unknown {
  try {
    return app.jwt.verify(token)
  } catch (error) {
    // Every error of the library is a 401; some would otherwise become 500.
    if (error instanceof Error && 'code' in error && error.code === 'FAST_JWT_EXPIRED')
      throw new ProblemError('token_expired', 'Your login has expired. Log in again.')
    throw new ProblemError('unauthenticated', 'The token is invalid. Log in again.')
  }
}
