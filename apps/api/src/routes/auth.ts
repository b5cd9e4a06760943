import {
  LoginRequest,
  LoginResponse,
  PasswordChange,
  Principal,
  TicketResponse,
} from '@aduana/contracts/identity'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { principalOf, sessionOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'
import { changePassword } from '../users/change-password.ts'
import { type LoggedIn, type Logins, login } from '../users/login.ts'
import { closeSession, openSession } from '../users/session-of-request.ts'
import { issueTicket } from '../ws/tickets.ts'

/** /api/auth and the tickets for the WebSocket. */
export function authRoutes(app: FastifyInstance, logins: Logins): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { db } = logins

  const begin = (request: FastifyRequest, reply: FastifyReply, user: LoggedIn): LoginResponse => {
    const { token, expiresAt } = openSession(app, request, reply, user)
    return { token, expiresAt: expiresAt.toISOString(), user: user.principal }
  }

  typed.post(
    '/api/auth/login',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'login',
        summary: 'Log in with e-mail and password',
        description: 'Send the token as "Authorization: Bearer …". Browsers also get it as a cookie.',
        tags: ['auth'],
        security: [],
        body: LoginRequest,
        response: {
          200: LoginResponse,
          ...problems('bad_request', 'bad_credentials', 'cross_site', 'too_many_logins', 'logins_busy'),
        },
      },
    },
    async (request, reply) =>
      begin(request, reply, await login(logins, { ...request.body, address: request.ip })),
  )

  typed.post(
    '/api/auth/password',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'changePassword',
        summary: 'Change your password',
        description: 'Ends all your sessions and starts a new one. The response is that of a login.',
        tags: ['auth'],
        body: PasswordChange,
        response: {
          200: LoginResponse,
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'bad_credentials', 'cross_site'),
          ...problems('too_many_logins', 'logins_busy'),
        },
      },
    },
    async (request, reply) => {
      const { current, new: next } = request.body
      const change = { current, next, address: request.ip }
      return begin(request, reply, await changePassword(logins, principalOf(request), change))
    },
  )

  typed.post(
    '/api/auth/logout',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'logout',
        summary: 'Log out: end the session and clear the cookie. Its token is refused from then on',
        tags: ['auth'],
        response: { 204: z.null(), ...problems('unauthenticated', 'token_expired', 'cross_site') },
      },
    },
    async (request, reply) => {
      await closeSession(db, sessionOf(request), request, reply)
      return reply.status(204).send(null)
    },
  )

  typed.get(
    '/api/auth/me',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readMe',
        summary: 'Get the logged-in user',
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
        summary: 'Get a ticket that opens one WebSocket at /ws?ticket=… within 30 seconds',
        tags: ['auth'],
        response: { 200: TicketResponse, ...problems('unauthenticated', 'token_expired', 'cross_site') },
      },
    },
    (request) => issueTicket(db, sessionOf(request)),
  )
}
