import { accessSync, constants, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkSettings, unknownSettings } from './check-settings.mjs'
import { warn } from './console.mjs'
import { isForbidden, LaunchError, systemCode } from './errors.mjs'

/**
 * @typedef {object} Settings
 * @property {string} root the checkout
 * @property {string} dataDir everything the launcher keeps: services, logs, secrets, artifacts
 * @property {string} logsDir
 * @property {string} toolsDir programs fetched once and kept (a Redis)
 * @property {string} host
 * @property {number} port the port the API prefers
 * @property {number} workers number of worker processes
 * @property {string} adminEmail
 * @property {boolean} demo whether the first run imports the sample
 */

/**
 * Reads the settings from the environment; unset and empty mean the default. Those of the programs are checked as well.
 * @param {NodeJS.ProcessEnv} env
 * @returns {Settings}
 * @throws {LaunchError} that names every wrong setting
 */
export function readSettings(env = process.env) {
  for (const sentence of unknownSettings(env)) warn(sentence)
  checkSettings(env)
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  const dataDir = resolve(root, env.ADUANA_DATA_DIR || '.data')
  return {
    root,
    dataDir,
    logsDir: join(dataDir, 'logs'),
    toolsDir: env.ADUANA_TOOLS_DIR || join(dataDir, 'tools'),
    host: env.HOST || '127.0.0.1',
    port: Number(env.PORT || 3000),
    workers: Number(env.ADUANA_WORKERS || 1),
    adminEmail: env.ADUANA_ADMIN_EMAIL || 'admin@aduana.local',
    demo: env.ADUANA_DEMO !== '0',
  }
}

const MARKER = '.aduana-data'

/**
 * Makes the data folder (0700) if need be, and marks it as ours when it was new or empty: only a marked folder is
 * ever removed by `npm run reset`.
 * @param {Settings} settings
 */
export function makeDataDir({ dataDir, logsDir }) {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (readdirSync(dataDir).length === 0) {
      writeFileSync(
        join(dataDir, MARKER),
        'Created by the Aduana launcher; `npm run reset` deletes this folder.\n',
      )
    }
    mkdirSync(logsDir, { recursive: true })
  } catch (error) {
    if (!isForbidden(error)) throw error
    throw new LaunchError(
      `cannot write to the data folder ${dataDir} (${systemCode(error)}). Set ADUANA_DATA_DIR to a folder that you may write to.`,
    )
  }
}

/**
 * @param {string} dataDir
 * @returns {boolean} whether the launcher made this folder
 */
export function isOurDataDir(dataDir) {
  try {
    readFileSync(join(dataDir, MARKER))
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

/**
 * The environment for the tools (pnpm, turbo, tsc …): their programs on PATH, telemetry off, and caches in the data
 * folder when the home folder cannot be written.
 * @param {Settings} settings
 * @returns {NodeJS.ProcessEnv}
 */
export function toolEnvironment({ root, dataDir }) {
  const env = {
    ...process.env,
    PATH: [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter),
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
  }
  if (isWritable(homedir())) return env
  const home = join(dataDir, 'home')
  mkdirSync(home, { recursive: true, mode: 0o700 })
  return { ...env, HOME: home, XDG_CACHE_HOME: '', XDG_DATA_HOME: '', npm_config_cache: join(home, '.npm') }
}

/** @param {string} folder */
function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return false
  }
}
