import { ProblemError } from '@aduana/contracts/problems'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { sessionOf } from '../plugins/access.ts'
import { refuseForeignOrigin } from '../plugins/origin.ts'
import { enterSession, findSession } from '../users/session-of-request.ts'
import type { Session } from '../users/sessions.ts'
import { attend } from '../ws/attend.ts'
import type { Hub } from '../ws/hub.ts'
import { burnTicket } from '../ws/tickets.ts'
import type { SessionWatch } from '../ws/watch-sessions.ts'

const MOST_SOCKETS_PER_USER = 20

/** /ws: progress and state of jobs, live. Whoever may not enter is refused before the upgrade. */
export function wsRoute(app: FastifyInstance, context: ApiContext, hub: Hub, sessions: SessionWatch): void {
  app.get(
    '/ws',
    {
      websocket: true,
      config: { access: 'ticket' },
      schema: { querystring: z.strictObject({ ticket: z.string().max(200).optional() }) },
      preHandler: async (request) => {
        if (!request.ws) throw new ProblemError('bad_request', 'This address speaks WebSocket only.')
        refuseForeignOrigin(request, context.settings.ADUANA_ORIGINS)
        const session = await enter(request)
        const open = [...hub.followers()].filter((one) => one.principal.userId === session.principal.userId)
        if (open.length >= MOST_SOCKETS_PER_USER)
          throw new ProblemError(
            'too_many_sockets',
            `${open.length} WebSockets of yours are open. Close some.`,
          )
        request.session = session
      },
    },
    (socket, request) => attend(hub, socket, sessionOf(request), { sessions, logger: request.log }),
  )

  /** By a one-time ticket, or by a token in the header; never by the cookie, which browsers send from any page. */
  async function enter(request: FastifyRequest): Promise<Session> {
    const { ticket } = z.object({ ticket: z.string().optional() }).parse(request.query)
    if (ticket === undefined) {
      if (request.headers.authorization !== undefined) return findSession(app, context.db, request)
      throw new ProblemError('unauthenticated', 'Ask POST /api/ws-ticket for a ticket and open /ws?ticket=….')
    }
    return enterSession(context.db, await burnTicket(context.db, ticket))
  }
}
