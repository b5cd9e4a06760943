import { page } from '@aduana/contracts/jobs'
import { SeriesDefinition } from '@aduana/contracts/metrics/definition'
import { MetricCode } from '@aduana/contracts/metrics/expression'
import { Series, SeriesVersion } from '@aduana/contracts/metrics/http'
import { VersionQuery } from '@aduana/contracts/versions'
import { saveSeriesAs } from '@aduana/metrics/commands'
import { readSeriesVersions } from '@aduana/metrics/read/versions'
import { listSeries } from '@aduana/metrics/registry/series'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'
import { seenVersion, tagVersion, VersionHeaders } from '../plugins/versions.ts'

/** /api/series */
export function seriesRoutes(app: FastifyInstance, { db }: ApiContext): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get(
    '/api/series',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'listSeries',
        summary: 'List the series, the dataset columns that metrics aggregate',
        tags: ['metrics'],
        response: {
          200: z.strictObject({ items: z.array(Series) }),
          ...problems('unauthenticated', 'token_expired'),
        },
      },
    },
    async () => ({ items: await listSeries(db) }),
  )

  typed.get(
    '/api/series/:code/versions',
    {
      config: { access: 'steward' },
      schema: {
        operationId: 'readSeriesVersions',
        summary: 'List the versions of a series, newest first, with their time and author',
        tags: ['metrics'],
        params: z.strictObject({ code: MetricCode }),
        querystring: VersionQuery,
        response: {
          200: page(SeriesVersion),
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'forbidden', 'unknown_series'),
        },
      },
    },
    (request) => readSeriesVersions(db, request.params.code, request.query),
  )

  typed.put(
    '/api/series/:code',
    {
      config: { access: 'admin' },
      schema: {
        operationId: 'saveSeries',
        summary: 'Create or change a series: writes the next version of its definition',
        description:
          'Title and unit may change at any time; dataset and column only while no metric uses the series.',
        tags: ['metrics'],
        params: z.strictObject({ code: MetricCode }),
        headers: VersionHeaders,
        body: SeriesDefinition.omit({ code: true }),
        response: {
          200: Series,
          ...problems(
            'bad_request',
            'unauthenticated',
            'token_expired',
            'forbidden',
            'unknown_dataset',
            'metric_in_use',
            'version_changed',
          ),
        },
      },
    },
    async (request, reply) => {
      const series = { code: request.params.code, ...request.body }
      const { version } = await saveSeriesAs(db, principalOf(request), series, seenVersion(request))
      tagVersion(reply, { version })
      return { ...series, version }
    },
  )
}
