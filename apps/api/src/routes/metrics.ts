import { page } from '@aduana/contracts/jobs'
import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { MetricCode } from '@aduana/contracts/metrics/expression'
import {
  Lineage,
  Metric,
  MetricItem,
  MetricQuery,
  MetricValues,
  MetricVersion,
  RecomputeRequest,
  SavedMetric,
  ValueQuery,
} from '@aduana/contracts/metrics/http'
import { RunAccepted } from '@aduana/contracts/metrics/http-runs'
import { VersionQuery } from '@aduana/contracts/versions'
import { recomputeMetricAs, retireMetricAs, saveMetricAs } from '@aduana/metrics/commands'
import { readLineage } from '@aduana/metrics/read/lineage'
import { listMetrics, readMetric } from '@aduana/metrics/read/metrics'
import { readValues } from '@aduana/metrics/read/values'
import { readMetricVersions } from '@aduana/metrics/read/versions'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { IdempotencyHeaders, repeatable, replyIdempotent } from '../plugins/idempotency.ts'
import { problems } from '../plugins/openapi.ts'
import { seenVersion, tagVersion, VersionHeaders } from '../plugins/versions.ts'

const MetricParameters = z.strictObject({ code: MetricCode })
const COMMON = problems('bad_request', 'unauthenticated', 'token_expired', 'unknown_metric')

/** For the OpenAPI document: the code is part of the path and optional in the body. */
const MetricBody = MetricDefinition.omit({ code: true }).extend({ code: MetricCode.optional() })

/** /api/metrics */
export function metricRoutes(app: FastifyInstance, context: ApiContext): void {
  readingRoutes(app, context)
  changingRoutes(app, context)
}

function readingRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get(
    '/api/metrics',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listMetrics',
        summary: 'List the metrics by code, with their freshness and open runs',
        tags: ['metrics'],
        querystring: MetricQuery,
        response: { 200: page(MetricItem), ...problems('bad_request', 'unauthenticated', 'token_expired') },
      },
    },
    (request) => listMetrics(db, principalOf(request), request.query),
  )

  typed.get(
    '/api/metrics/:code',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readMetric',
        summary: 'Get a metric: its definition, dependencies, freshness and outstanding runs',
        tags: ['metrics'],
        params: MetricParameters,
        response: { 200: Metric, ...COMMON },
      },
    },
    async (request, reply) => {
      const metric = await readMetric(db, principalOf(request), request.params.code)
      tagVersion(reply, metric)
      return metric
    },
  )

  typed.get(
    '/api/metrics/:code/values',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readMetricValues',
        summary: 'List the exact values of a metric, each with the run that computed it',
        description:
          'Ordered by day, company and warehouse. `to` is the first day after the range. `completeness` says what is outstanding.',
        tags: ['metrics'],
        params: MetricParameters,
        querystring: ValueQuery,
        response: { 200: MetricValues, ...COMMON },
      },
    },
    (request) => readValues(db, principalOf(request), request.params.code, request.query),
  )

  typed.get(
    '/api/metrics/:code/lineage',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readMetricLineage',
        summary: 'Get the dependencies of a metric, down to datasets, and its dependents',
        tags: ['metrics'],
        params: MetricParameters,
        response: { 200: Lineage, ...COMMON },
      },
    },
    (request) => readLineage(db, principalOf(request), request.params.code),
  )

  typed.get(
    '/api/metrics/:code/versions',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'readMetricVersions',
        summary: 'List the versions of a metric, newest first, with their time and author',
        tags: ['metrics'],
        params: MetricParameters,
        querystring: VersionQuery,
        response: { 200: page(MetricVersion), ...COMMON, ...problems('forbidden') },
      },
    },
    (request) => readMetricVersions(db, principalOf(request), request.params.code, request.query),
  )
}

function changingRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.post(
    '/api/metrics/:code/recompute',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'recomputeMetric',
        summary: 'Recompute a range of days, and the metrics that depend on it',
        description:
          'Follow the run at `Location`. `to` is the first day after the range. An open run of today includes the days.',
        tags: ['metrics'],
        params: MetricParameters,
        headers: IdempotencyHeaders,
        body: RecomputeRequest,
        response: { 202: RunAccepted, ...COMMON, ...problems('forbidden', 'idempotency_key_reused') },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const principal = principalOf(request)
      const accepted = await recomputeMetricAs(db, principal, params.code, body, repeatable(request, body))
      replyIdempotent(reply, accepted).header('location', `/api/runs/${accepted.body.id}`)
      return reply.send(accepted.body)
    },
  )

  typed.put(
    '/api/metrics/:code',
    {
      // The registry validates the definition and reports problems by path.
      config: { access: 'admin', unchecked: ['body', 'headers'] },
      schema: {
        operationId: 'saveMetric',
        summary: 'Create or change a metric: writes the next version of its definition',
        description:
          '`problems` lists everything that is wrong, each with the path of the node. A changed expression or grain is recomputed for all days. Saving the same definition again changes nothing.',
        tags: ['metrics'],
        params: MetricParameters,
        headers: VersionHeaders,
        body: MetricBody,
        response: {
          200: SavedMetric,
          201: SavedMetric,
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'forbidden'),
          ...problems('version_changed', 'invalid_metric'),
        },
      },
    },
    async (request, reply) => {
      const { params, body } = request
      const saved = await saveMetricAs(db, principalOf(request), params.code, body, seenVersion(request))
      tagVersion(reply, saved)
      return reply.status(saved.version === 1 && saved.changed ? 201 : 200).send(saved)
    },
  )

  typed.delete(
    '/api/metrics/:code',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'retireMetric',
        summary: 'Retire a metric: its open runs are cancelled, its values are kept',
        tags: ['metrics'],
        params: MetricParameters,
        response: { 204: z.null(), ...COMMON, ...problems('forbidden', 'metric_in_use') },
      },
    },
    async (request, reply) => {
      await retireMetricAs(db, principalOf(request), request.params.code)
      return reply.status(204).send(null)
    },
  )
}
