import { Counts } from '@aduana/contracts/counts'
import { JobFailure } from '@aduana/contracts/failures'
import { JobStatus } from '@aduana/contracts/job-states'
import { ImportAccepted, ImportForm } from '@aduana/contracts/jobs'
import { readJob } from '@aduana/jobs/read/jobs'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { IdempotencyHeaders, replyIdempotent } from '../plugins/idempotency.ts'
import { problems } from '../plugins/openapi.ts'
import type { UploadHandler } from '../uploads/upload-handler.ts'
import { IMPORT_PROBLEMS, ImportUpload, optionalField } from './imports.ts'
import { JobParameters } from './jobs.ts'

/** The names of the source documents for the statuses of a job. */
const SOURCE_WORDS = {
  QUEUED: 'INICIADO',
  PROCESSING: 'PROCESANDO',
  COMPLETED: 'EXITO',
  FAILED: 'FALLO',
  CANCELLED: 'CANCELADO',
} as const satisfies Record<JobStatus, string>

const Started = ImportAccepted.extend({ jobId: z.uuid() })

const SourceStatus = z.strictObject({
  jobId: z.uuid(),
  status: z.enum(SOURCE_WORDS),
  state: JobStatus,
  stage: z.string().nullable(),
  progress: z.number(),
  message: z.string(),
  counts: Counts,
  error: JobFailure.nullable(),
})

/** The dataset of `POST /api/jobs/dkt-import`. */
const DKT_DATASET = 'dkt'

/** Aliases for the addresses in the source documents. */
export function etlRoutes(app: FastifyInstance, context: ApiContext, handleUpload: UploadHandler): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const importAlias = (url: string, operationId: string, summary: string, dataset?: string) =>
    typed.post(
      url,
      {
        config: { access: 'operator', unchecked: ['body'] },
        schema: {
          operationId,
          summary,
          tags: ['etl'],
          consumes: ['multipart/form-data'],
          headers: IdempotencyHeaders,
          body:
            dataset === undefined
              ? ImportUpload
              : ImportUpload.extend({ dataset: optionalField(ImportForm.shape.dataset) }),
          response: { 202: Started, ...IMPORT_PROBLEMS },
        },
      },
      async (request, reply) => {
        const accepted = await handleUpload(request, dataset)
        const { body } = accepted
        replyIdempotent(reply, accepted).header('location', `/api/jobs/${body.id}`)
        return reply.send({ ...body, jobId: body.id })
      },
    )
  importAlias('/api/etl/start-process', 'startProcess', 'The same as POST /api/imports')
  importAlias(
    '/api/jobs/dkt-import',
    'importDkt',
    'The same as POST /api/imports for the dataset dkt',
    DKT_DATASET,
  )

  typed.get(
    '/api/etl/jobs/:id/status',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readProcessStatus',
        summary: 'Get the status of a job, with the status names of the source documents',
        tags: ['etl'],
        params: JobParameters,
        response: {
          200: SourceStatus,
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'not_found'),
        },
      },
    },
    async (request) => {
      const job = await readJob(context.db, principalOf(request), request.params.id)
      const { stage, progress, message, counts, error } = job
      const status = SOURCE_WORDS[job.status]
      return { jobId: job.id, status, state: job.status, stage, progress, message, counts, error }
    },
  )
}
