import { JobAccepted } from '@aduana/contracts/jobs'
import { UndoRequest } from '@aduana/contracts/undo'
import { undoImport } from '@aduana/jobs/undo'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { IdempotencyHeaders, repeatable, replyIdempotent } from '../plugins/idempotency.ts'
import { problems } from '../plugins/openapi.ts'
import { queueLimits } from '../uploads/upload-handler.ts'
import { JobParameters } from './jobs.ts'

/** /api/jobs/{id}/undo */
export function undoRoutes(app: FastifyInstance, { db, settings }: ApiContext): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/jobs/:id/undo',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'undoImport',
        summary: 'Take an import back',
        description:
          'A new job of type `undo` deletes the rows of the import and brings back what they replaced, all or nothing; its `result` says what was reversed, what stays and what could not be put back. Refused while later imports own days of it or have changed its rows, unless `unwind` says to take these back too, newest first.',
        tags: ['jobs'],
        params: JobParameters,
        headers: IdempotencyHeaders,
        body: UndoRequest.nullish(),
        response: {
          202: JobAccepted,
          ...problems(
            'bad_request',
            'unauthenticated',
            'token_expired',
            'forbidden',
            'not_found',
            'illegal_transition',
            'already_undone',
            'undo_open',
            'undo_expired',
            'undo_overlap',
            'idempotency_key_reused',
            'queue_full',
          ),
        },
      },
    },
    async (request, reply) => {
      const asked = request.body ?? { unwind: false }
      const accepted = await undoImport(
        { db, ...queueLimits(settings) },
        principalOf(request),
        request.params.id,
        asked,
        repeatable(request, asked),
      )
      replyIdempotent(reply, accepted).header('location', `/api/jobs/${accepted.body.id}`)
      return reply.send(accepted.body)
    },
  )
}
