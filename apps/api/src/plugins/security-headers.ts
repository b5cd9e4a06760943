import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Overrides security headers for the route. */
    helmet?: FastifyHelmetOptions
  }
}

const POLICY = {
  defaultSrc: ["'none'"],
  baseUri: ["'self'"],
  connectSrc: ["'self'"],
  fontSrc: ["'self'"],
  formAction: ["'self'"],
  frameAncestors: ["'none'"],
  imgSrc: ["'self'", 'data:'],
  manifestSrc: ["'self'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
}

/** Policy of third-party pages with style elements. No page may load anything from another host. */
export const INLINE_STYLE_POLICY = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { ...POLICY, styleSrc: ["'self'", "'unsafe-inline'"] },
  },
}

/** Sets security headers on every response. Responses of /api must not be cached, unless the route allows it. */
export async function registerSecurityHeaders(app: FastifyInstance): Promise<void> {
  app.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/api')) reply.header('cache-control', 'private, no-store')
  })
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: POLICY },
    referrerPolicy: { policy: 'same-origin' },
    frameguard: { action: 'deny' },
    strictTransportSecurity: { maxAge: 31_536_000 },
  })
}
