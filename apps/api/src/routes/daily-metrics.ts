import { createHash } from 'node:crypto'
import { DailyMetrics, DailyMetricsQuery } from '@aduana/contracts/metrics/http'
import { readDailyMetrics } from '@aduana/metrics/read/daily'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { principalOf } from '../plugins/access.ts'
import { problems } from '../plugins/openapi.ts'

/** /api/data/daily_metrics */
export function dailyMetricsRoute(app: FastifyInstance, { db }: ApiContext): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/api/data/daily_metrics',
    {
      config: { access: 'viewer' },
      schema: {
        operationId: 'readDailyMetrics',
        summary: 'Get the values of a metric for charts, by day, week or month',
        description:
          "`date_range` is `today`, `yesterday`, `last_7_days`, `this_week`, `last_week`, `this_month`, `last_month`, `this_year`, `last_year`, or `2026-01-01..2026-02-01`, where the second is the first day after the range. Weeks begin on Monday. Without `aggregate`, the days of a longer period are aggregated by the metric's `rollUp`; if it has none, the request is refused. The response may be cached, and must be revalidated with its `ETag` before each use.",
        tags: ['metrics'],
        querystring: DailyMetricsQuery,
        response: {
          200: DailyMetrics,
          304: z.null().describe('The response has not changed since the version in If-None-Match'),
          ...problems('bad_request', 'unauthenticated', 'token_expired', 'unknown_metric', 'value_too_large'),
        },
      },
    },
    async (request, reply) => {
      const body = await readDailyMetrics(db, principalOf(request), request.query)
      const tag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`
      reply.headers({ etag: tag, 'cache-control': 'private, no-cache', vary: 'authorization, cookie' })
      if (request.headers['if-none-match'] === tag) return reply.status(304).send(null)
      return reply.send(body)
    },
  )
}
