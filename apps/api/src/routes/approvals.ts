import { Job } from '@aduana/contracts/jobs'
import { ApproveRequest, JobPreview } from '@aduana/contracts/load-preview'
import { approveJob, readPreview } from '@aduana/jobs/lifecycle/approve'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'
import { JobParameters } from './jobs.ts'

const COMMON = problems('bad_request', 'unauthenticated', 'token_expired', 'not_found')

/** /api/jobs/{id}/preview and /api/jobs/{id}/approve */
export function approvalRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get(
    '/api/jobs/:id/preview',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readPreview',
        summary: 'Get the preview of a load: rows of each day, and sums before and after',
        tags: ['jobs'],
        params: JobParameters,
        response: { 200: JobPreview, ...COMMON },
      },
    },
    (request) => readPreview(db, principalOf(request), request.params.id),
  )

  typed.post(
    '/api/jobs/:id/approve',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'approveJob',
        summary: 'Approve an import that waits for approval',
        description:
          'With `basis`, only the preview with that basis is approved. Approvals that the dataset requires are given by a steward or an admin; those requested by the uploader, also by the uploader. To reject an import, cancel it.',
        tags: ['jobs'],
        params: JobParameters,
        body: ApproveRequest.nullish(),
        response: {
          200: Job,
          ...COMMON,
          ...problems('forbidden', 'illegal_transition', 'approval_lapsed'),
        },
      },
    },
    (request) => approveJob(db, principalOf(request), request.params.id, request.body ?? {}),
  )
}
