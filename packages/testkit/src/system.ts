import { readJob } from '@aduana/jobs/read/jobs'
import { createInstallation, type ImportingSystem, type InstallationOptions } from './installation.ts'
import { type ProductProcess, startProduct } from './processes.ts'
import { until } from './until.ts'

/** An installation of one test without the API: a database, a prefix in Redis, a data folder, workers. */
export interface TestSystem extends ImportingSystem {
  /** The settings that every process of this installation is started with. */
  environment: Record<string, string>
  /** Starts a worker and waits until it is ready. */
  startWorker(settings?: Record<string, string>): Promise<ProductProcess>
  /** Returns the processes that were started, in order. */
  processes(): readonly ProductProcess[]
}

/**
 * Creates an installation and starts `workers` workers. `settings` are added to the environment of its processes. Metrics are
 * computed only with `metrics`, because that takes longer than most imports of tests. `databaseServer` sets another
 * PostgreSQL. With `restored` it uses an existing database and data folder, and an empty Redis.
 */
export async function createTestSystem(
  options: InstallationOptions & {
    workers?: number
    metrics?: boolean
    settings?: Record<string, string>
  } = {},
): Promise<TestSystem> {
  const installation = await createInstallation(options)
  const { database, redis, dataDir, admin } = installation
  const processes: ProductProcess[] = []
  const environment = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    QUEUE_PREFIX: redis.prefix,
    ADUANA_DATA_DIR: dataDir,
    LOG_LEVEL: 'info',
    ADUANA_METRIC_CONCURRENCY: options.metrics === true ? '1' : '0',
    ...options.settings,
  }
  const system: TestSystem = {
    ...installation,
    environment,
    processes: () => processes,
    startWorker: async (settings = {}) => {
      const worker = startProduct('worker', { ...environment, ...settings })
      processes.push(worker)
      await worker.untilLogged('worker.ready', 120_000)
      return worker
    },
    finished: async (jobId, within = 60_000) => {
      const isFinal = 'select from jobs where id = $1 and completed_at is not null'
      await until(async () => (await database.pool.query(isFinal, [jobId])).rowCount === 1, {
        within,
        what: `job ${jobId} is final`,
      })
      return readJob(database.db, admin, jobId)
    },
    import: async (content, form) => system.finished(await system.accept(content, form)),
    close: async () => {
      await Promise.all(processes.map((process) => process.stop()))
      await installation.close()
    },
  }
  await Promise.all(Array.from({ length: options.workers ?? 0 }, () => system.startWorker()))
  return system
}
