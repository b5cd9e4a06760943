import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LaunchError, systemCode } from './errors.mjs'
import { sizeOf, tailOf } from './logs.mjs'
import { freePort } from './ports.mjs'
import { describe, endWithLauncher, startService, stopService } from './processes.mjs'
import { findRedis } from './redis-binaries.mjs'
import { readSettings } from './settings.mjs'

/**
 * @typedef {object} RedisOptions
 * @property {string} dir its folder: made if absent, and found again by the next start
 * @property {boolean} [persistent] false: memory only (default true: an append-only file, synced every second)
 * @property {number} [port] taken if it is free, else another
 * @property {string} [logFile] default `<dir>/redis.log`
 * @property {import('./redis-binaries.mjs').RedisBinary} [binary] default: the one that findRedis finds
 * @property {AbortSignal} [signal] aborts the start
 */

/**
 * @typedef {object} Redis
 * @property {string} url with its password
 * @property {number} pid
 * @property {number} port
 * @property {string} version
 * @property {string} logFile
 * @property {import('./processes.mjs').Service} service
 * @property {() => Promise<void>} stop may be called twice
 */

const ATTEMPTS = 4
const READY_MS = 60_000

/**
 * Starts a private Redis on 127.0.0.1 that never evicts. It stops when the process that started it dies.
 * @param {RedisOptions} options
 * @returns {Promise<Redis>}
 */
export async function startRedis(options) {
  const { dir, persistent = true, logFile = join(dir, 'redis.log'), signal } = options
  const binary =
    options.binary ?? (await findRedis({ toolsDir: readSettings().toolsDir, ...(signal && { signal }) }))
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const password = passwordOf(dir)

  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    const port = await freePort(attempt === 1 ? options.port : 0)
    const logStart = sizeOf(logFile)
    const service = startService({
      name: 'Redis',
      command: endWithLauncher('TERM', [binary.file, writeConfig({ dir, port, password, persistent })]),
      env: { ...process.env, ...binary.env },
      logFile,
      cwd: dir,
    })
    const stop = () => stopService(service)
    const problem = await untilReady(service, port, password, signal).catch(async (error) => {
      await stop()
      throw error
    })
    if (problem === undefined) {
      const url = `redis://:${password}@127.0.0.1:${port}`
      return { url, pid: service.pid, port, version: binary.version, logFile, service, stop }
    }
    await stop()
    const log = tailOf(logFile, 15, logStart)
    if (attempt === ATTEMPTS || !/Address already in use/i.test(log)) {
      throw new LaunchError(`Redis did not start (${problem}). The end of ${logFile}:\n${log}`)
    }
  }
}

/** @param {string} dir */
function passwordOf(dir) {
  const file = join(dir, 'password')
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    const password = randomBytes(18).toString('hex')
    writeFileSync(file, `${password}\n`, { mode: 0o600 })
    return password
  }
}

/**
 * Writes the configuration to a file: other users could read arguments.
 * @param {{ dir: string, port: number, password: string, persistent: boolean }} options
 * @returns {string} the path of the configuration
 */
function writeConfig({ dir, port, password, persistent }) {
  const file = join(dir, 'redis.conf')
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(dir)}`,
    `appendonly ${persistent ? 'yes' : 'no'}`,
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  return file
}

/**
 * Waits until Redis has loaded its data and responds. The response must come from this child, not from another Redis on the
 * port.
 * @param {import('./processes.mjs').Service} service
 * @param {number} port
 * @param {string} password
 * @param {AbortSignal} [signal]
 * @returns {Promise<string | undefined>} why it is not ready, or undefined when it is
 */
async function untilReady(service, port, password, signal) {
  const deadline = Date.now() + READY_MS
  while (Date.now() < deadline) {
    signal?.throwIfAborted()
    if (!service.running()) return describe(await service.exited)
    const answer = await ask(port, `AUTH ${password}\r\nINFO\r\nQUIT\r\n`)
    const facts = answer.split('\r\n') // whole lines: async_loading:0 is another fact than loading:0
    if (facts.includes(`process_id:${service.pid}`) && facts.includes('loading:0')) return undefined
    await delay(10)
  }
  return `not ready within ${READY_MS / 1000} s`
}

/**
 * @param {number} port
 * @param {string} commands
 * @returns {Promise<string>} the whole response; empty when nothing listens yet
 */
function ask(port, commands) {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host: '127.0.0.1', port })
    socket.setTimeout(2000, () => socket.destroy())
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    // Refused or closed means not ready yet; the caller retries until its deadline.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(answer))
    socket.write(commands)
  })
}
