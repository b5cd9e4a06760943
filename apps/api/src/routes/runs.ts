import { page } from '@aduana/contracts/jobs'
import { MetricRunRequest } from '@aduana/contracts/metrics/events'
import { MetricRun, MetricRunDetail, RunQuery } from '@aduana/contracts/metrics/http-runs'
import { cancelRunAs, retryRunAs } from '@aduana/metrics/commands'
import { listRuns, readRequest, readRun } from '@aduana/metrics/read/runs'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'

const RunParameters = z.strictObject({ id: z.uuid() })
const COMMON = problems('bad_request', 'unauthenticated', 'token_expired', 'not_found')

/** /api/runs */
export function runRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get(
    '/api/runs',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listRuns',
        summary: 'List the runs of metrics, newest first',
        tags: ['runs'],
        querystring: RunQuery,
        response: { 200: page(MetricRun), ...problems('bad_request', 'unauthenticated', 'token_expired') },
      },
    },
    (request) => listRuns(db, principalOf(request), request.query),
  )

  typed.get(
    '/api/runs/:id',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readRun',
        summary: 'Get a run, with its inputs and the datasets that it waits for',
        tags: ['runs'],
        params: RunParameters,
        response: { 200: MetricRunDetail, ...COMMON },
      },
    },
    (request) => readRun(db, principalOf(request), request.params.id),
  )

  typed.get(
    '/api/runs/:id/request',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readRunRequest',
        summary: 'Get the request that the runner of a run receives',
        description:
          'For requests that are too large for a message: the `dataref` of the message points here.',
        tags: ['runs'],
        params: RunParameters,
        response: { 200: MetricRunRequest, ...COMMON, ...problems('forbidden') },
      },
    },
    (request) => readRequest(db, principalOf(request), request.params.id),
  )

  typed.post(
    '/api/runs/:id/retry',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'retryRun',
        summary: 'Retry a run that failed or expired, with the inputs that exist',
        description:
          'The response is the run that computes the days: another run if one is already open for the same metric.',
        tags: ['runs'],
        params: RunParameters,
        response: { 200: MetricRunDetail, ...COMMON, ...problems('forbidden', 'illegal_run_transition') },
      },
    },
    (request) => retryRunAs(db, principalOf(request), request.params.id),
  )

  typed.post(
    '/api/runs/:id/cancel',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'cancelRun',
        summary: 'Cancel a run that has not ended',
        tags: ['runs'],
        params: RunParameters,
        response: { 200: MetricRunDetail, ...COMMON, ...problems('forbidden', 'illegal_run_transition') },
      },
    },
    (request) => cancelRunAs(db, principalOf(request), request.params.id),
  )
}
