import { JobAccepted } from '@aduana/contracts/jobs'
import { UndoRequest } from '@aduana/contracts/undo'
import { undoImport } from '@aduana/jobs/undo/undo-import'
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
        summary: 'Undo an import',
        description:
          'A new job of type `undo` deletes the rows of the import and restores what they replaced, all or nothing. Its `result` lists what was reversed, what was kept, and what could not be restored. The request is refused if later imports own days of the import or have changed its rows. With `unwind`, these imports are undone as well, newest first.',
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
