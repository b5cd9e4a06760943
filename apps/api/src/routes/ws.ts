import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { sessionOf } from '../plugins/access.ts'
import { assertOwnOrigin } from '../plugins/origin.ts'
import { findSession, requireSession } from '../users/session-of-request.ts'
import type { FindPrincipal, Session } from '../users/sessions.ts'
import { serveConnection } from '../ws/connection.ts'
import type { Hub } from '../ws/hub.ts'
import { redeemTicket } from '../ws/tickets.ts'
import type { SessionWatch } from '../ws/watch-sessions.ts'

const MAX_SOCKETS_PER_USER = 20

/** /ws: live progress and state of jobs. Requests without access are refused before the upgrade. */
export function wsRoute(
  app: FastifyInstance,
  context: ApiContext,
  live: { hub: Hub; sessions: SessionWatch; findPrincipal: FindPrincipal },
): void {
  const { hub, sessions, findPrincipal } = live

  app.get(
    '/ws',
    {
      websocket: true,
      config: { access: 'ticket' },
      schema: { querystring: z.strictObject({ ticket: z.string().max(200).optional() }) },
      preHandler: async (request) => {
        if (!request.ws)
          throw new ProblemError(
            'bad_request',
            'This endpoint only accepts WebSocket connections. Open it as a WebSocket.',
          )
        assertOwnOrigin(request, context.settings.ADUANA_ORIGINS)
        const session = await authenticate(request)
        const open = openSockets(session.userId)
        if (open >= MAX_SOCKETS_PER_USER)
          throw new ProblemError(
            'too_many_sockets',
            `You have ${open} open WebSockets, which is the limit. Close some and try again.`,
          )
        request.session = session
      },
    },
    (socket, request) => {
      const session = sessionOf(request)
      // Concurrent requests may have passed the first check.
      if (openSockets(session.userId) >= MAX_SOCKETS_PER_USER)
        return socket.close(1008, 'too many WebSockets are open for this user')
      serveConnection(hub, socket, session, { sessions, logger: request.log })
    },
  )

  function openSockets(userId: string): number {
    return [...hub.subscribers()].filter(({ principal }) => principal.userId === userId).length
  }

  /** Authenticates by ticket or by the Authorization header. Not by the cookie, which browsers send from any page. */
  async function authenticate(request: FastifyRequest): Promise<Session> {
    const { ticket } = z.object({ ticket: z.string().optional() }).parse(request.query)
    if (ticket === undefined) {
      if (request.headers.authorization !== undefined) return findSession(app, findPrincipal, request)
      throw new ProblemError(
        'unauthenticated',
        'A ticket is missing. Get one from POST /api/ws-ticket and open /ws?ticket=….',
      )
    }
    return requireSession(findPrincipal, await redeemTicket(context.db, ticket))
  }
}
