// What a benchmark runs on: a durable PostgreSQL, a persistent Redis and a temporary folder, all of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitCodeOf, Interrupted } from '../apps/local/src/errors.mjs'
import { openLifetime } from '../apps/local/src/lifetime.mjs'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'
import { createTestDatabase } from '../packages/testkit/dist/database.js'
import { createTestSystem } from '../packages/testkit/dist/system.js'

/**
 * Run a benchmark on services of its own, then end the process. A database or an installation it gets with
 * `addDatabase` and `addSystem`, anything else with `own(name, promise, release)`; all are released at the end, the
 * last first, then the services and the folder: also when it fails or is told to stop.
 */
export async function onServices(measure) {
  const life = openLifetime()
  const own = async (name, coming, release) => {
    const thing = await coming
    life.own(name, () => release(thing))
    return thing
  }
  try {
    const services = await startServices(own, life.signal)
    const addDatabase = () => own('the database', createTestDatabase(), ({ drop }) => drop())
    const addSystem = (options) => own('the installation', createTestSystem(options), ({ close }) => close())
    const work = measure({ ...services, own, addDatabase, addSystem })
    await Promise.race([work, life.stopRequested.then(life.check)])
  } catch (error) {
    if (!(error instanceof Interrupted)) console.error(error)
    process.exitCode = exitCodeOf(error)
  }
  if (!(await life.end())) process.exitCode ||= 1
  process.exit()
}

async function startServices(own, signal) {
  const folder = await own('the folder', mkdtemp(join(tmpdir(), 'aduana-bench-')), (path) =>
    rm(path, { recursive: true, force: true, maxRetries: 3 }),
  )
  const stop = (service) => service.stop()
  const postgres = await own('PostgreSQL', startPostgres({ dir: join(folder, 'postgres'), signal }), stop)
  const redis = await own('Redis', startRedis({ dir: join(folder, 'redis'), signal }), stop)
  // Where the testkit makes what it makes; what it cannot remove any more goes with the folder.
  Object.assign(process.env, {
    TEST_DATABASE_URL: postgres.url,
    TEST_REDIS_URL: redis.url,
    TMPDIR: folder,
  })
  return { folder, redis }
}
