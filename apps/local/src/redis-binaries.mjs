import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { debianRedis } from './debian-redis.mjs'
import { LaunchError } from './errors.mjs'
import { findProgram } from './processes.mjs'

/**
 * @typedef {object} RedisBinary
 * @property {string} file
 * @property {Record<string, string>} env what it needs to find its libraries
 * @property {string} version such as "Redis 7.0.15"
 */

const NAMES = ['redis-server', 'valkey-server']

/**
 * Finds a Redis (6.2 or newer) or Valkey: REDIS_SERVER_BIN, else PATH, else one fetched before, else Debian's package,
 * downloaded and unpacked without privileges into the tools folder.
 * @param {object} options
 * @param {string} options.toolsDir
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {AbortSignal} [options.signal]
 * @param {(text: string) => void} [options.onMessage] called when a download starts
 * @returns {Promise<RedisBinary>}
 */
export async function findRedis({ toolsDir, env = process.env, signal, onMessage }) {
  if (env.REDIS_SERVER_BIN) {
    const chosen = inspect(env.REDIS_SERVER_BIN)
    if (typeof chosen !== 'string') return chosen
    throw new LaunchError(`REDIS_SERVER_BIN: ${chosen}.`)
  }
  const tried = ['REDIS_URL and REDIS_SERVER_BIN are not set']
  for (const name of NAMES) {
    const file = findProgram(name, env.PATH)
    const found = file === undefined ? `no ${name} on PATH` : inspect(file)
    if (typeof found !== 'string') return found
    tried.push(found)
  }
  const folder = join(toolsDir, 'redis')
  const cached = inspectUnpacked(folder)
  if (typeof cached !== 'string') return cached
  tried.push(cached)
  if (process.platform === 'linux' && findProgram('apt-get') && findProgram('dpkg-deb')) {
    onMessage?.(
      'Redis is not installed: downloading the package of the distribution (nothing is installed system-wide)',
    )
    const problem = await debianRedis(folder, signal)
    const fetched = problem ?? inspectUnpacked(folder)
    if (typeof fetched !== 'string') return fetched
    tried.push(`the distribution's package: ${fetched}`)
  } else tried.push("the distribution's package: apt-get or dpkg-deb is missing")
  throw new LaunchError(
    `Redis was not found. Tried:\n${tried.map((line) => `  - ${line}`).join('\n')}\n` +
      'Install one (apt install redis-server, brew install redis, or https://redis.io/docs/latest/operate/oss_and_stack/install/), ' +
      'set REDIS_SERVER_BIN to its program, or set REDIS_URL to a running one.',
  )
}

/**
 * @param {string} folder a Debian package unpacked
 * @returns {RedisBinary | string}
 */
function inspectUnpacked(folder) {
  const libraries = [
    'usr/lib',
    'lib',
    'usr/lib/x86_64-linux-gnu',
    'lib/x86_64-linux-gnu',
    'usr/lib/aarch64-linux-gnu',
  ]
    .map((part) => join(folder, part))
    .filter((part) => existsSync(part))
  const env = { LD_LIBRARY_PATH: libraries.join(':') }
  const file = NAMES.map((name) => join(folder, 'usr', 'bin', name)).find((path) => existsSync(path))
  return file === undefined ? `no earlier download in ${folder}` : inspect(file, env)
}

/**
 * @param {string} file
 * @param {Record<string, string>} [env]
 * @returns {RedisBinary | string} or what is wrong with it
 */
function inspect(file, env = {}) {
  const { stdout, stderr, error, status } = spawnSync(file, ['--version'], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  if (error || status !== 0) return `${file} does not run: ${error?.message ?? stderr.trim().split('\n')[0]}`
  const match = /(\w+) server v=((\d+)\.(\d+)[.\d]*)/i.exec(stdout)
  if (match === null) return `${file} is not a Redis server: ${stdout.trim().split('\n')[0]}`
  const [, brand, version, major, minor] = match
  if (Number(major) * 100 + Number(minor) < 602) return `${file} is ${version}; 6.2 or newer is needed`
  return { file, env, version: `${brand} ${version}` }
}
