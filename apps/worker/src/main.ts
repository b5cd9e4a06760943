import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openExternalFiles } from '@aduana/artifacts/external-files'
import { openArtifactStore } from '@aduana/artifacts/open-store'
import { StoreError } from '@aduana/artifacts/store'
import { ProblemError } from '@aduana/contracts/problems'
import { registerDatasets } from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { createDatabase, type Database } from '@aduana/db/database'
import { checkSchema, MigrationError, readMigrations } from '@aduana/db/migrations'
import { createPool } from '@aduana/db/pool'
import { startEngine } from '@aduana/engine/engine'
import { startDispatcher } from '@aduana/jobs/dispatch/dispatcher'
import { failLostJob } from '@aduana/jobs/dispatch/reconcile'
import { pruneExpired } from '@aduana/jobs/retention/housekeeping'
import { openWorkerSession } from '@aduana/jobs/workers/session'
import { takeOverWork } from '@aduana/jobs/workers/take-over'
import { registerShippedMetrics } from '@aduana/metrics/shipped/shipped'
import { stageHandlers } from '@aduana/pipeline/stages'
import { createFlows } from '@aduana/queue/flow'
import { createQueueObserver } from '@aduana/queue/observer'
import { createProgressPublisher } from '@aduana/queue/progress-channel'
import { checkRedis, createRedis } from '@aduana/queue/redis'
import { startSchedules } from '@aduana/queue/schedules'
import { startStageWorkers } from '@aduana/queue/stage-workers'
import { readSettings, WorkerSettings } from '@aduana/runtime/config'
import { armFailPointsFrom } from '@aduana/runtime/fail-points'
import { createResources, type Resources, runProgram, untilStopped } from '@aduana/runtime/lifecycle'
import { createLogger, type Logger } from '@aduana/runtime/logger'
import { checkTables } from './check-tables.ts'
import { stageConcurrency } from './concurrency.ts'
import { type ConsumingWatch, watchConsuming } from './health/consuming.ts'
import { listenHealth } from './health/listener.ts'
import type { StuckStage } from './health/stuck-detector.ts'
import { startWatchdog } from './health/watchdog.ts'
import { startMetrics } from './metrics.ts'
import { removeExpired } from './retention.ts'
import { claimWorkFolder } from './work-folder.ts'

/** Exit code of a worker that has stopped taking jobs. Its supervisor restarts it. */
const STUCK_EXIT = 70
/** Time limits for returning work to the queue before the process exits. A stuck worker gets less. */
const STUCK_GRACE_MS = 5000
const STOP_GRACE_MS = 25_000

/** Starts everything that a worker needs, in order of dependency. `resources` releases it in reverse order. */
async function start(
  settings: WorkerSettings,
  logger: Logger,
  resources: Resources,
): Promise<ConsumingWatch> {
  // A restarted container may have the same name and process id, but it does not hold the work of the former process.
  const worker = `${hostname()}.${process.pid}.${randomBytes(4).toString('hex')}`
  if (settings.ADUANA_WATCHDOG_SECONDS > 0) {
    const watchdog = startWatchdog({ patienceSeconds: settings.ADUANA_WATCHDOG_SECONDS, name: 'worker' })
    resources.add('watchdog', () => watchdog.stop())
  }
  const dataDir = resolve(settings.ADUANA_DATA_DIR)
  const pool = createPool({
    url: settings.DATABASE_URL,
    max: settings.ADUANA_DATABASE_POOL,
    applicationName: 'aduana worker',
    logger,
  })
  resources.add('database', () => pool.end())
  const db = createDatabase(pool)
  await checkSchema(pool, await readMigrations())
  const changed = await registerDatasets(db, SHIPPED)
  if (changed.length > 0) logger.warn({ event: 'datasets.not_as_shipped', datasets: changed })
  await checkTables(db, pool, logger)
  await registerMetrics(db, logger)

  const { store, close: closeStore } = await openArtifactStore(settings, { db, logger })
  resources.add('artifact store', closeStore)
  const outside = await openExternalFiles(settings)
  resources.add('outside files', () => outside?.close())
  const workFolder = await claimWorkFolder(dataDir, logger)

  const queue = { redisUrl: settings.REDIS_URL, prefix: settings.QUEUE_PREFIX, logger }
  const redis = createRedis(settings.REDIS_URL, 'worker', logger)
  await checkRedis(redis)
  redis.disconnect()

  const flows = createFlows(queue)
  resources.add('flows', () => flows.close())
  // Opened before this worker takes any work, and closed when it holds none.
  const session = await openWorkerSession({
    db,
    databaseUrl: settings.DATABASE_URL,
    worker,
    logger,
    onEnded: (ended) => takeOverWork({ db, flows, logger }, ended),
  })
  resources.add('session', () => session.close())

  const engine = {
    memoryLimitMb: settings.ADUANA_ENGINE_MEMORY_MB,
    threads: settings.ADUANA_ENGINE_THREADS,
    logger,
  }
  const [small, large] = await Promise.all([
    startEngine({
      ...engine,
      name: 'small',
      memoryLimitMb: Math.min(128, engine.memoryLimitMb),
      threads: 1,
      maxTempMb: 1024,
    }),
    startEngine({
      ...engine,
      name: 'large',
      maxOldSpaceMb: Math.max(256, engine.memoryLimitMb - 128),
      onDemand: true,
    }),
  ])
  resources.add('engines', () => Promise.all([small.close(), large.close()]).then(() => undefined))
  const publisher = createProgressPublisher(queue)
  resources.add('progress', () => publisher.close())

  const handlers = stageHandlers({
    db,
    pool,
    store,
    outside,
    engines: { small, large },
    publisher,
    logger,
    workFolder,
    worker,
    maxUnpackedBytes: settings.ADUANA_MAX_UNPACKED_SIZE,
  })
  const workers = startStageWorkers({
    ...queue,
    worker,
    handlers,
    concurrency: stageConcurrency(settings),
    onLost: (payload, stage, reason) => failLostJob(db, payload, stage, reason),
  })
  resources.add('stage workers', () => workers.close())

  const schedules = startSchedules({
    ...queue,
    handlers: {
      housekeeping: () => pruneExpired(db, store, logger).then(() => undefined),
      retention: () => removeExpired(db, store, settings, logger),
    },
  })
  resources.add('schedules', () => schedules.close())

  const dispatcher = startDispatcher({
    db,
    databaseUrl: settings.DATABASE_URL,
    flows,
    limits: {
      maxActive: settings.ADUANA_MAX_ACTIVE,
      maxActivePerTenant: settings.ADUANA_MAX_ACTIVE_PER_TENANT,
    },
    logger,
  })
  resources.add('dispatcher', () => dispatcher.stop())

  await startMetrics(settings, { db, pool, logger, worker, queue, resources })

  const observer = createQueueObserver(queue)
  resources.add('observer', () => observer.close())
  const watch = watchConsuming({
    db,
    observer,
    workers,
    worker,
    logger,
    patienceSeconds: settings.ADUANA_STUCK_SECONDS,
  })
  resources.add('watch', () => watch.stop())
  if (settings.ADUANA_HEALTH_PORT !== undefined) {
    const listener = await listenHealth(settings.ADUANA_HEALTH_PORT, () => watch.state())
    resources.add('health', () => listener.close())
  }
  return watch
}

/** Registers the shipped metrics. Logs when they do not fit changed datasets, because imports must work all the same. */
async function registerMetrics(db: Database, logger: Logger): Promise<void> {
  try {
    await registerShippedMetrics(db)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    logger.error({ event: 'metrics.not_registered', err: error, details: error.extra })
  }
}

/** Processes jobs until the process is stopped or finds that it no longer takes jobs. Returns the exit code. */
async function main(): Promise<number> {
  const settings = readSettings(WorkerSettings, process.env)
  // Only the user of this process may read the files that it writes. The engine processes inherit this.
  process.umask(0o077)
  const logger = createLogger({ name: 'worker', level: settings.LOG_LEVEL, pretty: settings.LOG_PRETTY })
  armFailPointsFrom(process.env.ADUANA_FAIL_POINTS ?? '')
  const stopped = untilStopped(settings.ADUANA_PARENT_PID)
  const resources = createResources(logger)
  let stuck: StuckStage | undefined
  try {
    // A start that waits for Redis must not delay a stop.
    const watch = await Promise.race([start(settings, logger, resources), stopped])
    if (typeof watch !== 'string') logger.info({ event: 'worker.ready' })
    const end = typeof watch === 'string' ? watch : await Promise.race([stopped, watch.stuck])
    if (typeof end === 'string') logger.info({ event: 'worker.stopping', reason: end })
    else {
      stuck = end
      logger.fatal(
        { event: 'worker.stuck', ...end },
        'Jobs are waiting, but this worker takes none. The worker exits to be restarted',
      )
    }
  } finally {
    await Promise.race([resources.release(), delay(stuck ? STUCK_GRACE_MS : STOP_GRACE_MS)])
  }
  return stuck ? STUCK_EXIT : 0
}

runProgram(main, [StoreError, MigrationError])
