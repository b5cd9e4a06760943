import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import multipart from '@fastify/multipart'
import websocket from '@fastify/websocket'
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import { serializerCompiler } from 'fastify-type-provider-zod'
import type { ApiContext } from './context.ts'
import { registerAccess } from './plugins/access.ts'
import { registerBullBoard } from './plugins/bull-board.ts'
import { registerOpenApi } from './plugins/openapi.ts'
import { registerProblems } from './plugins/problems.ts'
import { addGauge, addQueueDepthGauges, registerPrometheus } from './plugins/prometheus.ts'
import { registerRequestLog } from './plugins/request-log.ts'
import { registerSecurityHeaders } from './plugins/security-headers.ts'
import { registerDuplicateCheck } from './plugins/single-values.ts'
import { registerStorableText } from './plugins/storable.ts'
import { registerUnrouted, replyMalformed, replyUnroutable } from './plugins/unrouted.ts'
import { registerValidation } from './plugins/validation.ts'
import { watchQueueDepth } from './queue-depth.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { authRoutes } from './routes/auth.ts'
import { dailyMetricsRoute } from './routes/daily-metrics.ts'
import { datasetRoutes } from './routes/datasets.ts'
import { etlRoutes } from './routes/etl.ts'
import { healthRoutes } from './routes/health.ts'
import { importRoutes } from './routes/imports.ts'
import { jobRoutes } from './routes/jobs.ts'
import { metricRoutes } from './routes/metrics.ts'
import { pageRoutes } from './routes/pages.ts'
import { projectionRoutes } from './routes/projections.ts'
import { prometheusRoute } from './routes/prometheus.ts'
import { refusedMessageRoutes } from './routes/refused-messages.ts'
import { runRoutes } from './routes/runs.ts'
import { seriesRoutes } from './routes/series.ts'
import { undoRoutes } from './routes/undo.ts'
import { wsRoute } from './routes/ws.ts'
import { stopConnections } from './stop-connections.ts'
import { serviceStopping } from './uploads/receive.ts'
import { createUploadHandler } from './uploads/upload-handler.ts'
import { createHashingQueue } from './users/hashing-queue.ts'
import type { Logins } from './users/login.ts'
import { createLoginFailures } from './users/login-failures.ts'
import { findSession } from './users/session-of-request.ts'
import { createFindPrincipal } from './users/sessions.ts'
import { tokenOptions } from './users/tokens.ts'
import { closeSockets } from './ws/close-sockets.ts'
import { createHub, type Hub } from './ws/hub.ts'
import { watchSessions } from './ws/watch-sessions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The clients that are connected over WebSockets. */
    hub: Hub
  }
}

const SOCKET_PAYLOAD = 64 * 1024

/** Builds the whole API without listening. The caller listens, or injects requests. */
export async function buildApp(context: ApiContext): Promise<FastifyInstance> {
  const { settings, logger, db } = context
  const loggerInstance: FastifyBaseLogger = logger
  const pendingResponses = new WeakMap<Duplex, ServerResponse>()
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: ({ headers }) => acceptedId(headers['x-request-id']) ?? randomUUID(),
    trustProxy: settings.ADUANA_TRUSTED_PROXIES,
    // An idle connection is dropped. An upload as a whole has no time limit.
    connectionTimeout: settings.ADUANA_IDLE_SECONDS * 1000,
    requestTimeout: 0,
    bodyLimit: 1024 * 1024,
    routerOptions: { maxParamLength: 200 },
    // Requests that Node or Fastify refuse get a problem document as well.
    frameworkErrors: replyUnroutable,
    clientErrorHandler: replyMalformed(logger, pendingResponses),
    return503OnClosing: false,
    http: { requireHostHeader: false },
  })
  app.removeContentTypeParser('text/plain')
  app.setSerializerCompiler(serializerCompiler)

  const failures = createLoginFailures(db, settings.ADUANA_JWT_SECRET)
  const logins: Logins = { db, failures, hashingQueue: createHashingQueue() }
  const findPrincipal = createFindPrincipal(db)
  const stopping = new AbortController()
  const handleUpload = createUploadHandler(app, context, stopping.signal)
  const hub = createHub(context)
  app.decorate('hub', hub)
  const sessions = watchSessions(context)
  app.addHook('onClose', () => Promise.all([hub.close(), sessions.close()]).then(() => undefined))

  registerProblems(app)
  registerRequestLog(app)
  registerDuplicateCheck(app)
  registerStorableText(app)
  registerValidation(app)
  await registerSecurityHeaders(app)
  await app.register(cookie)
  await app.register(jwt, tokenOptions(settings.ADUANA_JWT_SECRET, settings.ADUANA_TOKEN_MINUTES))
  registerUnrouted(app, logger, pendingResponses)
  await app.register(websocket, { options: { maxPayload: SOCKET_PAYLOAD }, preClose: closeSockets })
  stopConnections(app, () => stopping.abort(serviceStopping()))
  registerAccess(app, {
    authenticate: (request) => findSession(app, findPrincipal, request),
    origins: settings.ADUANA_ORIGINS,
  })
  await app.register(multipart, { throwFileSizeLimit: false })
  const registry = registerPrometheus(app, db)
  addGauge(registry, 'aduana_ws_clients', 'Open WebSockets', () => hub.subscribers().size)
  const queueDepth = watchQueueDepth(context)
  app.addHook('onClose', async () => queueDepth.stop())
  addQueueDepthGauges(registry, queueDepth.depths)
  await registerOpenApi(app)
  await registerBullBoard(app, context)

  // As a plugin, so that the OpenAPI document includes the routes.
  await app.register(async (routes) => {
    authRoutes(routes, logins)
    importRoutes(routes, handleUpload)
    jobRoutes(routes, context)
    approvalRoutes(routes, context)
    undoRoutes(routes, context)
    datasetRoutes(routes, context)
    etlRoutes(routes, context, handleUpload)
    healthRoutes(routes, context, queueDepth)
    metricRoutes(routes, context)
    seriesRoutes(routes, context)
    runRoutes(routes, context)
    projectionRoutes(routes, context)
    refusedMessageRoutes(routes, context)
    dailyMetricsRoute(routes, context)
    prometheusRoute(routes, registry)
    wsRoute(routes, context, { hub, sessions, findPrincipal })
    await pageRoutes(routes, logins, findPrincipal)
  })
  return app
}

function acceptedId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{1,64}$/.test(header) ? header : undefined
}
