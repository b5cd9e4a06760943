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
import { watchDemand } from './demand.ts'
import { registerAccess } from './plugins/access.ts'
import { registerBullBoard } from './plugins/bull-board.ts'
import { addDemandGauges, addGauge, registerMetrics } from './plugins/metrics.ts'
import { registerOpenApi } from './plugins/openapi.ts'
import { registerProblems } from './plugins/problems.ts'
import { registerRequestLog } from './plugins/request-log.ts'
import { registerSecurityHeaders } from './plugins/security-headers.ts'
import { registerSingleValues } from './plugins/single-values.ts'
import { registerStorableText } from './plugins/storable.ts'
import { registerValidation } from './plugins/validation.ts'
import { answerMalformed, answerUnroutable, registerWithoutRoute } from './plugins/without-route.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { authRoutes } from './routes/auth.ts'
import { dailyMetricsRoute } from './routes/daily-metrics.ts'
import { datasetRoutes } from './routes/datasets.ts'
import { etlRoutes } from './routes/etl.ts'
import { figuresRoute } from './routes/figures.ts'
import { healthRoutes } from './routes/health.ts'
import { importRoutes } from './routes/imports.ts'
import { jobRoutes } from './routes/jobs.ts'
import { metricRoutes } from './routes/metrics.ts'
import { pageRoutes } from './routes/pages.ts'
import { projectionRoutes } from './routes/projections.ts'
import { refusedMessageRoutes } from './routes/refused-messages.ts'
import { runRoutes } from './routes/runs.ts'
import { seriesRoutes } from './routes/series.ts'
import { undoRoutes } from './routes/undo.ts'
import { wsRoute } from './routes/ws.ts'
import { stopConnections } from './stop-connections.ts'
import { importTaker } from './uploads/import.ts'
import { stopped } from './uploads/receive.ts'
import type { Logins } from './users/login.ts'
import { createLoginFailures } from './users/login-failures.ts'
import { createPasswordLine } from './users/password-line.ts'
import { findSession } from './users/session-of-request.ts'
import { createFindPrincipal } from './users/sessions.ts'
import { tokenOptions } from './users/tokens.ts'
import { closeSockets } from './ws/close-sockets.ts'
import { createHub, type Hub } from './ws/hub.ts'
import { watchSessions } from './ws/watch-sessions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The clients on WebSockets. */
    hub: Hub
  }
}

const SOCKET_PAYLOAD = 64 * 1024

/** The whole API, without a port: whoever calls this listens, or injects requests. */
export async function buildApp(context: ApiContext): Promise<FastifyInstance> {
  const { settings, logger, db } = context
  const loggerInstance: FastifyBaseLogger = logger
  const answering = new WeakMap<Duplex, ServerResponse>()
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
    // Requests that Node and Fastify would refuse themselves get a problem document as well.
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerMalformed(logger, answering),
    return503OnClosing: false,
    http: { requireHostHeader: false },
  })
  app.removeContentTypeParser('text/plain')
  app.setSerializerCompiler(serializerCompiler)

  const failures = createLoginFailures(db, settings.ADUANA_JWT_SECRET)
  const logins: Logins = { db, failures, line: createPasswordLine() }
  const findPrincipal = createFindPrincipal(db)
  const stopping = new AbortController()
  const takeImport = importTaker(app, context, stopping.signal)
  const hub = createHub(context)
  app.decorate('hub', hub)
  const sessions = watchSessions(context)
  app.addHook('onClose', () => Promise.all([hub.close(), sessions.close()]).then(() => undefined))

  registerProblems(app)
  registerRequestLog(app)
  registerSingleValues(app)
  registerStorableText(app)
  registerValidation(app)
  await registerSecurityHeaders(app)
  await app.register(cookie)
  await app.register(jwt, tokenOptions(settings.ADUANA_JWT_SECRET, settings.ADUANA_TOKEN_MINUTES))
  registerWithoutRoute(app, logger, answering)
  await app.register(websocket, { options: { maxPayload: SOCKET_PAYLOAD }, preClose: closeSockets })
  stopConnections(app, () => stopping.abort(stopped()))
  registerAccess(app, {
    authenticate: (request) => findSession(app, findPrincipal, request),
    origins: settings.ADUANA_ORIGINS,
  })
  await app.register(multipart, { throwFileSizeLimit: false })
  const registry = registerMetrics(app, db)
  addGauge(registry, 'aduana_ws_clients', 'Open WebSockets', () => hub.followers().size)
  const demand = watchDemand(context)
  app.addHook('onClose', async () => demand.stop())
  addDemandGauges(registry, demand.demand)
  await registerOpenApi(app)
  await registerBullBoard(app, context)

  // As a plugin, so that the document sees the routes.
  await app.register(async (routes) => {
    authRoutes(routes, logins)
    importRoutes(routes, takeImport)
    jobRoutes(routes, context)
    approvalRoutes(routes, context)
    undoRoutes(routes, context)
    datasetRoutes(routes, context)
    etlRoutes(routes, context, takeImport)
    healthRoutes(routes, context, demand)
    metricRoutes(routes, context)
    seriesRoutes(routes, context)
    runRoutes(routes, context)
    projectionRoutes(routes, context)
    refusedMessageRoutes(routes, context)
    dailyMetricsRoute(routes, context)
    figuresRoute(routes, registry)
    wsRoute(routes, context, { hub, sessions, findPrincipal })
    await pageRoutes(routes, logins, findPrincipal)
  })
  return app
}

function acceptedId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{1,64}$/.test(header) ? header : undefined
}
