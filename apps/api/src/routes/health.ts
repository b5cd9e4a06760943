import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { RedisMisconfiguredError } from '@aduana/queue/redis'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { sql } from 'kysely'
import { z } from 'zod'
import type { ApiContext } from '../context.ts'
import { problems } from '../plugins/openapi.ts'
import { type QueueDepthWatch, Warning } from '../queue-depth.ts'

const TIMEOUT_MS = 2000
// The checks write to a disk, so their result is reused for a moment.
const CACHE_MS = 1000

const Check = z.strictObject({
  ok: z.boolean(),
  milliseconds: z.int(),
  needed: z.boolean(),
  /** What an operator has to change, if known. */
  problem: z.string().optional(),
})
const CheckName = z.enum(['postgresql', 'schema', 'artifacts', 'redis'])
const Health = z.strictObject({
  /** `degraded`: imports are accepted, but jobs wait for Redis or for a worker. */
  status: z.enum(['ok', 'degraded', 'unavailable']),
  uptimeSeconds: z.int(),
  checks: z.record(CheckName, Check),
  warnings: z.array(Warning),
})
type Health = z.infer<typeof Health>

/** /health: all checks; /health/live: the process responds; /health/ready: it can accept imports. */
export function healthRoutes(app: FastifyInstance, context: ApiContext, watch: QueueDepthWatch): void {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const examine = cached(() => checkAll(context, watch))

  for (const [url, operationId, summary] of [
    ['/health', 'readHealth', 'Get the health of each service, in detail'],
    ['/health/ready', 'readReadiness', 'Check whether imports can be accepted'],
  ] as const)
    typed.get(
      url,
      {
        config: { access: 'probe' },
        logLevel: 'warn',
        schema: {
          operationId,
          summary,
          tags: ['operation'],
          security: [],
          response: { 200: Health, 503: Health, ...problems('cross_site') },
        },
      },
      async (_request, reply) => {
        const health = await examine()
        return reply.status(health.status === 'unavailable' ? 503 : 200).send(health)
      },
    )

  typed.get(
    '/health/live',
    {
      config: { access: 'public' },
      logLevel: 'warn',
      schema: {
        operationId: 'readLiveness',
        summary: 'Check whether the process responds',
        tags: ['operation'],
        security: [],
        response: { 200: z.strictObject({ status: z.literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  )
}

async function checkAll(context: ApiContext, watch: QueueDepthWatch): Promise<Health> {
  const { db, store, checkSchema, checkRedis, logger } = context
  let warnings: Warning[] = []
  const check = async (name: z.infer<typeof CheckName>, needed: boolean, work: () => Promise<unknown>) => {
    const from = performance.now()
    let problem: string | undefined
    const ok = await withTimeout(work).catch((error: unknown) => {
      logger.warn({ event: 'health.failed', check: name, err: error })
      if (error instanceof RedisMisconfiguredError) problem = error.message
      return false
    })
    const milliseconds = Math.round(performance.now() - from)
    return { ok, needed, milliseconds, ...(problem === undefined ? {} : { problem }) }
  }
  const [postgresql, schema, artifacts, redis] = await Promise.all([
    check('postgresql', true, () => sql`select 1`.execute(db)),
    check('schema', true, checkSchema),
    check('artifacts', true, async () => {
      const key = `health/${randomUUID()}`
      await store.put(key, Readable.from([Buffer.from('ok')]))
      await store.remove(key)
    }),
    check('redis', false, checkRedis),
    // Warnings need PostgreSQL, which has a check of its own.
    withTimeout(async () => {
      warnings = await watch.warnings()
    }).catch((error: unknown) => logger.debug({ event: 'health.warnings_failed', err: error })),
  ])
  const checks = { postgresql, schema, artifacts, redis }
  const failed = Object.values(checks).filter((result) => !result.ok)
  const waits = warnings.some(({ waiting }) => waiting > 0)
  const status = failed.some(({ needed }) => needed)
    ? 'unavailable'
    : failed.length > 0 || waits
      ? 'degraded'
      : 'ok'
  return { status, uptimeSeconds: Math.round(process.uptime()), checks, warnings }
}

async function withTimeout(work: () => Promise<unknown>): Promise<true> {
  const giveUp = new AbortController()
  const late = delay(TIMEOUT_MS, undefined, { signal: giveUp.signal, ref: false }).then(
    () => Promise.reject(new Error(`no response within ${TIMEOUT_MS} ms`)),
    () => undefined,
  )
  try {
    await Promise.race([work(), late])
    return true
  } finally {
    giveUp.abort()
  }
}

function cached<T>(read: () => Promise<T>): () => Promise<T> {
  let last: { at: number; value: Promise<T> } | undefined
  return () => {
    if (!last || Date.now() - last.at > CACHE_MS) last = { at: Date.now(), value: read() }
    return last.value
  }
}
