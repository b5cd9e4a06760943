import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'

/** /metrics: telemetry for Prometheus, for admins and for programs on this machine. */
export function prometheusRoute(app: FastifyInstance, registry: Registry): void {
  app.get(
    '/metrics',
    {
      config: { access: 'admin-or-loopback' },
      logLevel: 'warn',
      schema: {
        operationId: 'readMetrics',
        summary: 'Get the telemetry for Prometheus',
        tags: ['operation'],
      },
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  )
}
