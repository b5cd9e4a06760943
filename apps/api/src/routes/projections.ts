import { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import { ProjectionAccepted } from '@aduana/contracts/metrics/http-runs'
import { acceptProjectionUpdateAs } from '@aduana/metrics/commands'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { replyIdempotent } from '../plugins/idempotency.ts'
import { problems } from '../plugins/openapi.ts'

/** /api/projections */
export function projectionRoutes(app: FastifyInstance, { db }: ApiContext): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/projections',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'tellProjection',
        summary: 'Tell that a dataset has changed outside: the metrics that depend on it follow',
        description:
          'It counts once for its `eventKey`: whoever sends it again gets the same answer, with `Idempotency-Replayed: true`. `occurredAt` must not be before 2000, nor more than five minutes ahead. Somebody limited to companies or warehouses names them.',
        tags: ['runs'],
        body: ProjectionUpdate,
        response: {
          202: ProjectionAccepted,
          ...problems(
            'bad_request',
            'unauthenticated',
            'token_expired',
            'forbidden',
            'unknown_dataset',
            'event_key_reused',
            'impossible_timestamp',
          ),
        },
      },
    },
    async (request, reply) => {
      const accepted = await acceptProjectionUpdateAs(db, principalOf(request), request.body)
      return replyIdempotent(reply, accepted).send(accepted.body)
    },
  )
}
