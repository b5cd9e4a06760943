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
        summary: 'Report that a dataset has changed outside Aduana, so that dependent metrics are recomputed',
        description:
          'An `eventKey` counts once: sending it again returns the first response, with `Idempotency-Replayed: true`. `occurredAt` must not be before 2000, nor more than five minutes in the future. Users who are limited to companies or warehouses must list them.',
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
