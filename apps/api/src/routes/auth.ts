import { LoginRequest, LoginResponse, Principal, TicketResponse } from '@aduana/contracts/identity'
import { audit } from '@aduana/db/audit'
import { inTransaction } from '@aduana/db/database'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf, sessionOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'
import { login } from '../users/login.ts'
import type { LoginThrottle } from '../users/login-throttle.ts'
import { closeSession, openSession } from '../users/session.ts'
import { issueTicket } from '../ws/tickets.ts'

/** /api/auth and the tickets for the WebSocket. */
export function authRoutes(app: FastifyInstance, { db }: ApiContext, throttle: LoginThrottle): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.post(
    '/api/auth/login',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'login',
        summary: 'Log in with e-mail and password',
        description: 'The token goes into "Authorization: Bearer …"; browsers also get it as a cookie.',
        tags: ['auth'],
        security: [],
        body: LoginRequest,
        response: {
          200: LoginResponse,
          ...problems('bad_request', 'bad_credentials', 'cross_site', 'too_many_logins'),
        },
      },
    },
    async (request, reply) => {
      const user = await login({ db, throttle }, { ...request.body, address: request.ip })
      const { token, expiresAt } = openSession(app, request, reply, user)
      reply.header('cache-control', 'no-store')
      return { token, expiresAt: expiresAt.toISOString(), user }
    },
  )

  typed.post(
    '/api/auth/logout',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'logout',
        summary: 'Take the cookie away',
        tags: ['auth'],
        response: { 204: z.null(), ...problems('unauthenticated', 'token_expired', 'cross_site') },
      },
    },
    async (request, reply) => {
      const { userId } = principalOf(request)
      await inTransaction(db, (tx) =>
        audit(tx, { actor: userId, action: 'user.logout', subjectType: 'user', subjectId: userId }),
      )
      closeSession(request, reply)
      return reply.status(204).send(null)
    },
  )

  typed.get(
    '/api/auth/me',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readMe',
        summary: 'Who you are',
        tags: ['auth'],
        response: { 200: Principal, ...problems('unauthenticated', 'token_expired') },
      },
    },
    async (request) => principalOf(request),
  )

  typed.post(
    '/api/ws-ticket',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'createTicket',
        summary: 'A key that opens one WebSocket at /ws?ticket=… within 30 seconds',
        tags: ['auth'],
        response: { 200: TicketResponse, ...problems('unauthenticated', 'token_expired', 'cross_site') },
      },
    },
    (request) => issueTicket(db, sessionOf(request)),
  )
}
