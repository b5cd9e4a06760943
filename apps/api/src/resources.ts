import { openArtifactStore } from '@aduana/artifacts/open-store'
import { ProblemError } from '@aduana/contracts/problems'
import { registerDatasets } from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { createDatabase, type Database } from '@aduana/db/database'
import { listen } from '@aduana/db/listen'
import { checkSchema, readMigrations } from '@aduana/db/migrations'
import { createPool } from '@aduana/db/pool'
import { registerShippedMetrics } from '@aduana/metrics/shipped/shipped'
import { createBoardQueues } from '@aduana/queue/board'
import { createQueueObserver } from '@aduana/queue/observer'
import { subscribeProgress } from '@aduana/queue/progress-channel'
import { checkRedis, createRedis } from '@aduana/queue/redis'
import type { ApiSettings } from '@aduana/runtime/config'
import type { Resources } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'
import type { ApiContext } from './context.ts'

/** Acquires the resources of the API; `resources` releases them. Does not wait for Redis. */
export async function acquireContext(
  settings: ApiSettings,
  logger: Logger,
  resources: Resources,
): Promise<ApiContext> {
  const pool = createPool({
    url: settings.DATABASE_URL,
    max: settings.ADUANA_DATABASE_POOL,
    applicationName: 'aduana api',
    logger,
  })
  resources.add('database', () => pool.end())
  const db = createDatabase(pool)
  const migrations = await readMigrations()
  await checkSchema(pool, migrations)
  await registerShipped(db, logger)

  const { store, close: closeStore } = await openArtifactStore(settings, {
    db,
    logger,
    incoming: settings.UPLOAD_DIR,
  })
  resources.add('artifact store', closeStore)

  const redis = createRedis(settings.REDIS_URL, 'producer', logger)
  resources.add('redis', () => redis.disconnect())
  const queues = { redisUrl: settings.REDIS_URL, prefix: settings.QUEUE_PREFIX, logger }
  const board = createBoardQueues(queues)
  resources.add('board', () => board.close())
  const observer = createQueueObserver(queues)
  resources.add('observer', () => observer.close())

  return {
    settings,
    logger,
    db,
    store,
    checkSchema: () => checkSchema(pool, migrations),
    pingRedis: () => redis.ping(),
    checkRedis: () => checkRedis(redis),
    observeQueues: (stages) => observer.observe(stages),
    followProgress: (onUpdate) => subscribeProgress(queues, onUpdate),
    followSessions: (onMessage) =>
      listen({ url: settings.DATABASE_URL, channel: 'aduana_sessions', logger, onMessage }),
    board: board.adapters,
  }
}

/**
 * Registers the shipped datasets and metrics. The API also starts when metrics do not match changed datasets, because they
 * are corrected through the API.
 */
async function registerShipped(db: Database, logger: Logger): Promise<void> {
  const datasets = await registerDatasets(db, SHIPPED)
  if (datasets.length > 0) logger.warn({ event: 'datasets.not_as_shipped', datasets })
  try {
    await registerShippedMetrics(db)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    logger.error({ event: 'metrics.not_registered', err: error, details: error.extra })
  }
}
