import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LaunchError } from './errors.mjs'
import { sizeOf, tailOf } from './logs.mjs'
import { freePort } from './ports.mjs'
import { describe, endWithLauncher, mustRun, startService, stopService } from './processes.mjs'
import { supervise } from './supervise.mjs'

/** The API streams all data: a small heap is enough, and keeps its memory flat. */
export const API_HEAP = ['--max-old-space-size=160', '--max-semi-space-size=4']

const READY_MS = 60_000
const ATTEMPTS = 3

/** The built programs, relative to the checkout. */
export const PROGRAMS = {
  api: 'apps/api/dist/main.js',
  worker: 'apps/worker/bundle/main.js',
  migrate: 'apps/worker/dist/migrate.js',
  testDatabase: 'apps/worker/dist/test-database.js',
  cli: 'apps/cli/dist/main.js',
}

/** @typedef {import('./settings.mjs').Settings} Settings */

/**
 * The environment of the API, the workers and the migrations. The programs end when ADUANA_PARENT_PID is gone.
 * @param {Settings} settings
 * @param {{ databaseUrl: string, redisUrl: string } & import('./secrets.mjs').Secrets} parts
 * @returns {NodeJS.ProcessEnv}
 */
export function applicationEnvironment(settings, { databaseUrl, redisUrl, jwtSecret, adminPassword }) {
  return {
    LOG_LEVEL: 'info',
    ...process.env,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    HOST: settings.host,
    ADUANA_DATA_DIR: settings.dataDir,
    ADUANA_ADMIN_EMAIL: settings.adminEmail,
    ADUANA_ADMIN_PASSWORD: adminPassword,
    ADUANA_JWT_SECRET: jwtSecret,
    ADUANA_PARENT_PID: String(process.pid),
  }
}

/**
 * Migrates the database to the schema of this version.
 * @param {Settings} settings
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function migrate({ root, logsDir }, env, signal) {
  const command = [process.execPath, join(root, PROGRAMS.migrate)]
  await mustRun({
    what: 'the migration',
    command,
    env,
    cwd: root,
    logFile: join(logsDir, 'migrate.log'),
    signal,
  })
}

/**
 * Starts the API, on another port if its own is taken, and waits until it is ready.
 * @param {Settings} settings
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 * @returns {Promise<{ url: string, port: number } & import('./supervise.mjs').Supervised>}
 */
export async function startApi(settings, env, signal) {
  const logFile = join(settings.logsDir, 'api.log')
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted()
    const port = await freePort(settings.port, settings.host)
    const url = `http://${reachableName(settings.host)}:${port}`
    const spawnApi = () =>
      startProgram('api', PROGRAMS.api, settings, { ...env, PORT: String(port) }, API_HEAP)
    const logStart = sizeOf(logFile)
    const first = spawnApi()
    const problem = await untilReady(first, url, signal).catch(async (error) => {
      await stopService(first)
      throw error
    })
    if (problem === undefined) return { url, port, ...supervise({ first, again: spawnApi }) }
    await stopService(first)
    const log = tailOf(logFile, 20, logStart)
    if (attempt === ATTEMPTS || !log.includes('EADDRINUSE')) {
      throw new LaunchError(`the API did not become ready (${problem}). The end of ${logFile}:\n${log}`)
    }
  }
}

/**
 * @param {Settings} settings
 * @param {NodeJS.ProcessEnv} env
 * @returns {import('./supervise.mjs').Supervised[]} the number of workers in the settings
 */
export function startWorkers(settings, env) {
  return Array.from({ length: settings.workers }, (_, index) => {
    const spawnWorker = () => startProgram(`worker-${index + 1}`, PROGRAMS.worker, settings, env)
    return supervise({ first: spawnWorker(), again: spawnWorker })
  })
}

/**
 * @param {string} name
 * @param {string} program
 * @param {Settings} settings
 * @param {NodeJS.ProcessEnv} env
 * @param {string[]} [nodeArgs]
 * @returns {import('./processes.mjs').Service} its log is `<logs>/<name>.log`
 */
function startProgram(name, program, { root, logsDir }, env, nodeArgs = []) {
  const command = endWithLauncher('TERM', [process.execPath, ...nodeArgs, join(root, program)])
  return startService({ name, command, env, cwd: root, logFile: join(logsDir, `${name}.log`) })
}

/**
 * @param {import('./processes.mjs').Service} service
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<string | undefined>} why it is not ready
 */
async function untilReady(service, url, signal) {
  const deadline = Date.now() + READY_MS
  let last = 'no response'
  while (Date.now() < deadline) {
    signal.throwIfAborted()
    if (!service.running()) return describe(await service.exited)
    try {
      const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5000) })
      if (answer.status === 200) return undefined
      last = `${answer.status}: ${(await answer.text()).slice(0, 300)}`
    } catch (error) {
      last = error instanceof Error ? error.message : String(error)
    }
    await delay(50)
  }
  return `/health/ready after ${READY_MS / 1000} s: ${last}`
}

/** @param {string} host an address to listen on, perhaps all of them */
function reachableName(host) {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
