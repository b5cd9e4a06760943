import type { FastifyInstance } from 'fastify'

/** Logs one line for each request, without the query, which may have a WebSocket ticket. */
export function registerRequestLog(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    request.log.info({
      event: 'http.request',
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime),
      user: request.session?.principal.userId,
    })
  })
  app.addHook('onRequestAbort', async (request) => {
    request.log.info({ event: 'http.aborted', method: request.method, path: request.url.split('?', 1)[0] })
  })
}
