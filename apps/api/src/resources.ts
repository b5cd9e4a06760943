import { join, resolve } from 'node:path'
import { removeAbandoned } from '@aduana/artifacts/abandoned'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import { claimDiskStore } from '@aduana/artifacts/marker'
import { registerDatasets } from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { rememberStore } from '@aduana/db/artifact-stores'
import { createDatabase } from '@aduana/db/database'
import { checkSchema, readMigrations } from '@aduana/db/migrations'
import { createPool } from '@aduana/db/pool'
import { createBoardQueues } from '@aduana/queue/board'
import { subscribeProgress } from '@aduana/queue/progress-channel'
import { createRedis } from '@aduana/queue/redis'
import type { ApiSettings } from '@aduana/runtime/config'
import type { Resources } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'
import type { ApiContext } from './context.ts'

/** Acquire what the API works with; `resources` releases it. Nothing here waits for Redis. */
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
  await registerDatasets(db, SHIPPED)

  const artifacts = join(resolve(settings.ADUANA_DATA_DIR), 'artifacts')
  const incoming = settings.UPLOAD_DIR
  const removed = await removeAbandoned(artifacts, { incoming })
  if (removed > 0) logger.info({ event: 'store.abandoned_removed', files: removed })
  await claimDiskStore(artifacts, (marker) => rememberStore(db, 'disk', marker))

  const redis = createRedis(settings.REDIS_URL, 'producer', logger)
  resources.add('redis', () => redis.disconnect())
  const queues = { redisUrl: settings.REDIS_URL, prefix: settings.QUEUE_PREFIX, logger }
  const board = createBoardQueues(queues)
  resources.add('board', () => board.close())

  return {
    settings,
    logger,
    db,
    store: createDiskStore(artifacts, { incoming }),
    checkSchema: () => checkSchema(pool, migrations),
    pingRedis: () => redis.ping(),
    followProgress: (onUpdate) => subscribeProgress(queues, onUpdate),
    board: board.adapters,
  }
}
