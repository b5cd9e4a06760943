import { join } from 'node:path'
import { info } from './console.mjs'
import { LaunchError } from './errors.mjs'
import { unreachable } from './ports.mjs'
import { startPostgres } from './postgres.mjs'
import { findPostgres } from './postgres-binaries.mjs'
import { startRedis } from './redis.mjs'
import { findRedis } from './redis-binaries.mjs'

/** @typedef {{ url: string, service?: import('./processes.mjs').Service }} Running */

const POSTGRES_PORT = 54_329
const REDIS_PORT = 56_329

/**
 * Runs several starts side by side; if one fails, those that succeeded are still owned (in the order given) before
 * the failure is thrown, so that the caller's release stops them.
 * @template T
 * @param {{ name: string, start: () => Promise<T>, stop: (value: T) => unknown }[]} starts
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<T[]>}
 */
export async function sideBySide(starts, life) {
  const results = await Promise.allSettled(starts.map(({ start }) => start()))
  const values = []
  for (const [index, result] of results.entries()) {
    const begun = starts[index]
    if (result.status !== 'fulfilled' || begun === undefined) continue
    values.push(result.value)
    life.own(begun.name, () => begun.stop(result.value))
  }
  const failure = results.find((result) => result.status === 'rejected')
  if (failure !== undefined) throw failure.reason
  return values
}

/**
 * The PostgreSQL to use: DATABASE_URL, else a private one in the data folder.
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 * @returns {Promise<Running & { stop: () => Promise<void> }>}
 */
export async function providePostgres({ dataDir, logsDir }, signal) {
  const given = process.env.DATABASE_URL
  if (given) return external('DATABASE_URL', given, 5432)
  const dir = join(dataDir, `postgres-${findPostgres().major}`)
  const postgres = await startPostgres({
    dir,
    port: POSTGRES_PORT,
    database: 'aduana',
    logFile: join(logsDir, 'postgres.log'),
    signal,
  })
  info(`PostgreSQL ${postgres.major} is running on 127.0.0.1:${postgres.port}`)
  return postgres
}

/**
 * The Redis to use: REDIS_URL, else a private one in the data folder.
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 * @returns {Promise<Running & { stop: () => Promise<void> }>}
 */
export async function provideRedis({ dataDir, logsDir, toolsDir }, signal) {
  const given = process.env.REDIS_URL
  if (given) return external('REDIS_URL', given, 6379)
  const binary = await findRedis({ toolsDir, signal, onMessage: info })
  const redis = await startRedis({
    dir: join(dataDir, 'redis'),
    port: REDIS_PORT,
    binary,
    logFile: join(logsDir, 'redis.log'),
    signal,
  })
  info(`${redis.version} is running on 127.0.0.1:${redis.port}`)
  return redis
}

/**
 * @param {string} variable
 * @param {string} url
 * @param {number} defaultPort
 */
async function external(variable, url, defaultPort) {
  const problem = await unreachable(url, defaultPort)
  if (problem !== undefined) {
    throw new LaunchError(`${variable} is set, but ${problem}. Unset it to use a private service.`)
  }
  info(`using the service in ${variable}`)
  return { url, stop: async () => undefined }
}
