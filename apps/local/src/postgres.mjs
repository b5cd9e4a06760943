import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { chooseRunner, chownTo } from './as-user.mjs'
import { LaunchError, systemCode } from './errors.mjs'
import { sizeOf, tailOf } from './logs.mjs'
import { freePort } from './ports.mjs'
import { findPostgres } from './postgres-binaries.mjs'
import { endOrphan } from './postgres-orphan.mjs'
import { describe, endWithLauncher, mustRun, runProgram, startService, stopService } from './processes.mjs'

/**
 * @typedef {object} PostgresOptions
 * @property {string} dir its folder: made if absent, and found again by the next start
 * @property {boolean} [durable] false: fsync and friends are off, for data that may be lost (default true)
 * @property {number} [port] taken if it is free, else another
 * @property {string} [database] made together with the folder (default "postgres")
 * @property {string} [logFile] default `<dir>/postgres.log`
 * @property {Record<string, string>} [settings] more server settings
 * @property {AbortSignal} [signal] aborts the start
 */

/**
 * @typedef {object} Postgres
 * @property {string} url with the superuser's password
 * @property {number} pid
 * @property {number} port
 * @property {number} major
 * @property {string} logFile
 * @property {import('./processes.mjs').Service} service
 * @property {() => Promise<void>} stop fast shutdown; may be called twice
 */

const USER = 'postgres'
const ATTEMPTS = 4
const READY_MS = 60_000

/**
 * Starts a private PostgreSQL on 127.0.0.1, as root too. It stops when the process that started it dies.
 * @param {PostgresOptions} options
 * @returns {Promise<Postgres>}
 */
export async function startPostgres(options) {
  const { dir, database = 'postgres', logFile = join(dir, 'postgres.log'), signal } = options
  const { bin, major } = findPostgres()
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const runner = chooseRunner(join(bin, 'initdb'), dir)
  const data = join(dir, 'data')
  if (!existsSync(data)) await initialise({ ...options, bin, major, runner, data, database, logFile })
  chownTo(runner, data)
  await endOrphan(data)
  const password = readFileSync(join(dir, 'password'), 'utf8').trim()

  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    const port = await freePort(attempt === 1 ? options.port : 0)
    const command = endWithLauncher('INT', [
      join(bin, 'postgres'),
      '-D',
      data,
      ...serverSettings(options, port),
    ])
    const logStart = sizeOf(logFile)
    const service = startService({
      name: 'PostgreSQL',
      command: [...runner.wrap, ...command],
      env: environment(),
      logFile,
      cwd: dir,
    })
    const stop = () => stopService(service, { signal: 'SIGINT' })
    const problem = await untilReady(service, data, signal).catch(async (error) => {
      await stop()
      throw error
    })
    if (problem === undefined) {
      const url = `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`
      return { url, pid: service.pid, port, major, logFile, service, stop }
    }
    await stop()
    const log = tailOf(logFile, 15, logStart)
    if (attempt === ATTEMPTS || !log.includes('Address already in use')) {
      throw new LaunchError(`PostgreSQL did not start (${problem}). The end of ${logFile}:\n${log}`)
    }
  }
}

/**
 * Makes the data folder under another name first, so that an interrupted attempt leaves nothing half made.
 * @param {{ bin: string, major: number, runner: import('./as-user.mjs').Runner, dir: string, data: string, database: string,
 *   logFile: string, durable?: boolean, signal?: AbortSignal }} options
 */
async function initialise({ bin, major, runner, dir, data, database, logFile, durable = true, signal }) {
  const draft = `${data}.new`
  const passwordFile = join(dir, 'password')
  const handedOver = join(dir, 'password.initdb')
  rmSync(draft, { recursive: true, force: true })
  const password = randomBytes(18).toString('hex')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  writeFileSync(handedOver, `${password}\n`, { mode: 0o600 })
  if (runner.uid !== -1) chownSync(handedOver, runner.uid, runner.uid)
  const run = { env: environment(), cwd: dir, logFile, ...(signal && { signal }) }
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const access = [`--username=${USER}`, `--pwfile=${handedOver}`, '--auth=scram-sha-256']
  // Tests open thousands of connections, and each would hash the password 4096 times.
  const quick = durable || major < 16 ? [] : ['--set', 'scram_iterations=1']
  const initdb = [
    join(bin, 'initdb'),
    '-D',
    draft,
    ...access,
    ...locale,
    ...quick,
    '--no-sync',
    '--no-instructions',
  ]
  await mustRun({ ...run, what: 'creating the PostgreSQL data folder', command: [...runner.wrap, ...initdb] })
  rmSync(handedOver)
  if (database !== 'postgres') {
    // Only the server itself is at hand, no client: its single-user mode makes the database.
    const single = [join(bin, 'postgres'), '--single', '-D', draft, 'postgres']
    const input = `CREATE DATABASE "${database}"\n`
    await mustRun({ ...run, what: 'creating the database', command: [...runner.wrap, ...single], input })
  }
  if (durable) await runProgram({ ...run, command: ['sync', '-f', draft] })
  renameSync(draft, data)
}

/**
 * @param {PostgresOptions} options
 * @param {number} port
 * @returns {string[]} command-line arguments
 */
function serverSettings({ durable = true, settings = {} }, port) {
  /** @type {Record<string, string>} */
  const all = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '', // a socket's path may have 107 bytes at most; a checkout's may be longer
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
    ...(durable ? durableSettings() : FAST_SETTINGS),
    ...settings,
  }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

const FAST_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' }

function durableSettings() {
  const eighth = Math.floor(totalmem() / 8 / 2 ** 20)
  const buffers = Math.max(128, Math.min(512, eighth, Math.floor(freemem() / 4 / 2 ** 20)))
  return { shared_buffers: `${buffers}MB`, max_wal_size: '4GB' }
}

/** @returns {NodeJS.ProcessEnv} nothing of the user's PG* settings or locale */
function environment() {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
}

/**
 * Waits until the server accepts queries.
 * @param {import('./processes.mjs').Service} service
 * @param {string} data
 * @param {AbortSignal} [signal]
 * @returns {Promise<string | undefined>} why it will not, or undefined when it does
 */
async function untilReady(service, data, signal) {
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline) {
    signal?.throwIfAborted()
    if (!service.running()) return describe(await service.exited)
    const lines = postmasterFile(data)
    // A file left behind by a crash says "ready" as well: the process id must be our child's.
    if (lines[0] === String(service.pid) && lines[7]?.trim() === 'ready') return undefined
    await delay(10)
  }
  return `not ready within ${READY_MS / 1000} s`
}

/** @param {string} data */
function postmasterFile(data) {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}
