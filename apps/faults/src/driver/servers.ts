import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@aduana/local/postgres'
import { startRedis } from '@aduana/local/redis'

/** Runs `work` with a new PostgreSQL and Redis, whose addresses are in the variables that the testkit reads. */
export async function withServers<T>(work: (servers: { postgresLog: string }) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-faults-'))
  const stops: (() => Promise<void>)[] = []
  try {
    const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: false })
    stops.push(postgres.stop)
    const redis = await startRedis({ dir: join(folder, 'redis'), persistent: false })
    stops.push(redis.stop)
    process.env.TEST_DATABASE_URL = postgres.url
    process.env.TEST_REDIS_URL = redis.url
    return await work({ postgresLog: postgres.logFile })
  } finally {
    for (const stop of stops) await stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
