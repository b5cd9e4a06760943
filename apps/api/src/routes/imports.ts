import { ImportAccepted, ImportForm } from '@aduana/contracts/jobs'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { IdempotencyHeaders, replyIdempotent } from '../plugins/idempotency.ts'
import { problems } from '../plugins/openapi.ts'
import type { UploadHandler } from '../uploads/upload-handler.ts'

const Flag = z.enum(['false', 'true'])

/** An optional field of a form. An empty value counts as absent; the page at /docs starts with one. */
export function optionalField<T extends z.ZodType>(field: T) {
  return z
    .union([field, z.literal('')])
    .optional()
    .meta({ examples: [''] })
}

const { shape } = ImportForm

/** The multipart form of an import, for the OpenAPI document. The parts are read as they arrive. */
export const ImportUpload = ImportForm.extend({
  file: z.file(),
  dataset: shape.dataset.meta({ examples: ['production'] }),
  from: optionalField(shape.from.unwrap()),
  to: optionalField(shape.to.unwrap()),
  scope: optionalField(shape.scope.unwrap()),
  mode: optionalField(shape.mode.unwrap()),
  force: optionalField(Flag),
  onConflict: optionalField(shape.onConflict.unwrap()),
  dryRun: optionalField(Flag),
  requireApproval: optionalField(Flag),
  expectedRecords: optionalField(shape.expectedRecords.unwrap()),
  priority: optionalField(shape.priority.unwrap()),
  startAt: optionalField(shape.startAt.unwrap()),
  encoding: optionalField(shape.encoding.unwrap()),
  delimiter: optionalField(shape.delimiter.unwrap()),
})

/** The problems of an import. */
export const IMPORT_PROBLEMS = problems(
  'missing_field',
  'bad_request',
  'not_multipart',
  'upload_truncated',
  'upload_idle',
  'empty_file',
  'bad_window',
  'unauthenticated',
  'token_expired',
  'forbidden',
  'unknown_dataset',
  'already_imported',
  'window_locked',
  'belongs_to_run',
  'file_too_large',
  'unsupported_type',
  'idempotency_key_reused',
  'queue_full',
  'quota_exceeded',
  'storage_full',
  'unavailable',
)

/** /api/imports */
export function importRoutes(app: FastifyInstance, handleUpload: UploadHandler): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/api/imports',
    {
      config: { access: 'operator', unchecked: ['body'] },
      schema: {
        operationId: 'createImport',
        summary: 'Import a file into a dataset',
        description:
          'The file is stored as it arrives and then processed in stages. Follow the job at `Location` or over the WebSocket. `from` and `to` declare a window; `to` is the first day after it. With `expectedRecords`, nothing is loaded unless the file has exactly that many records.',
        tags: ['imports'],
        consumes: ['multipart/form-data'],
        headers: IdempotencyHeaders,
        body: ImportUpload,
        response: { 202: ImportAccepted, ...IMPORT_PROBLEMS },
      },
    },
    async (request, reply) => {
      const accepted = await handleUpload(request)
      const { body } = accepted
      replyIdempotent(reply, accepted).header('location', `/api/jobs/${body.id}`)
      return reply.send(body)
    },
  )
}
