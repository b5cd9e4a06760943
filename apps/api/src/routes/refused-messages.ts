import { page } from '@aduana/contracts/jobs'
import { RefusedMessage, RefusedMessageQuery } from '@aduana/contracts/messages'
import { listRefusedMessages } from '@aduana/metrics/inbox/refused'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'

/** /api/refused-messages */
export function refusedMessageRoutes(app: FastifyInstance, { db }: ApiContext): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/refused-messages',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'listRefusedMessages',
        summary: 'List the queue messages that were refused permanently, newest first',
        description:
          'Each message is unchanged, with the reason why it was refused. The queue has moved it to its dead-letter queue.',
        tags: ['messages'],
        querystring: RefusedMessageQuery,
        response: {
          200: page(RefusedMessage),
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'forbidden'),
        },
      },
    },
    (request) => listRefusedMessages(db, principalOf(request), request.query),
  )
}
