import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { PROGRAMS, startApi, startWorkers } from './application.mjs'
import { build, withCheckout } from './checkout.mjs'
import { during, info } from './console.mjs'
import { namedSystem, runCli } from './demo.mjs'
import { LaunchError } from './errors.mjs'
import { install } from './install.mjs'
import { runProgram } from './processes.mjs'
import { isOurDataDir, makeDataDir } from './settings.mjs'
import { readState } from './state.mjs'
import { prepare } from './system.mjs'

/** @typedef {import('./settings.mjs').Settings} Settings */

/**
 * `npm run testdata`: fills a system with test data. Which: the one at ADUANA_URL; else one that is started for it on the
 * database of DATABASE_URL, which is made if it is not there; else the one that `npm start` runs.
 * @type {import('./commands.mjs').Command}
 */
export async function testdata({ settings, life, args }) {
  const databaseUrl = process.env.DATABASE_URL
  const state = readState(settings.dataDir)
  const login = namedSystem() ?? (!databaseUrl || state?.databaseUrl === databaseUrl ? state : undefined)
  if (login !== undefined) return runCli(settings, login, ['testdata', ...args], life)
  if (!databaseUrl) {
    throw new LaunchError(
      `Aduana is not running on ${settings.dataDir}. Start it with: npm start\n` +
        'Or name a database with DATABASE_URL (and REDIS_URL), such as postgres://…/aduana_test.',
    )
  }
  const own = settingsOf(settings, databaseUrl)
  for (const each of [settings, own]) makeDataDir(each)
  const made = await runTestDatabase(own, ['make'], life)
  if (made !== 0) return made
  const { env, adminPassword } = await prepare(own, life)
  const workers = startWorkers(own, env)
  life.own('the workers', () => Promise.all(workers.map((worker) => worker.stop())))
  const api = await during('starting the API and the workers', () => startApi(own, env, life.signal))
  life.own('the API', () => api.stop())
  const code = await runCli(
    own,
    { url: api.url, email: own.adminEmail, password: adminPassword },
    ['testdata', ...args],
    life,
  )
  info(`to run a system on it: ADUANA_DATA_DIR=${own.dataDir} npm start, with the same DATABASE_URL`)
  return code
}

/**
 * `npm run testdata:clean`: removes all that Aduana has made in the database of DATABASE_URL, the Redis of REDIS_URL
 * and the files that belong to them, if that is a test database or `--yes` is given.
 * @type {import('./commands.mjs').Command}
 */
export async function cleanTestdata({ settings, life, args }) {
  const databaseUrl = process.env.DATABASE_URL
  if (!databaseUrl) {
    throw new LaunchError(
      'DATABASE_URL is not set, so there is no database to clean. To remove the data of `npm start`: npm run reset',
      2,
    )
  }
  const own = settingsOf(settings, databaseUrl)
  for (const each of [settings, own]) makeDataDir(each)
  const code = await runTestDatabase(own, ['clean', ...args], life)
  if (code === 0 && own !== settings && isOurDataDir(own.dataDir))
    rmSync(own.dataDir, { recursive: true, force: true })
  return code
}

/**
 * A data folder of the database's own, unless ADUANA_DATA_DIR names one: the files of one database are not another's.
 * @param {Settings} settings
 * @param {string} databaseUrl
 * @returns {Settings}
 */
function settingsOf(settings, databaseUrl) {
  if (process.env.ADUANA_DATA_DIR) return settings
  if (!URL.canParse(databaseUrl)) throw new LaunchError('DATABASE_URL is not a URL', 2)
  const { hostname, port, pathname } = new URL(databaseUrl)
  const name = `${hostname}-${port || 5432}-${pathname.slice(1)}`.replace(/[^a-z0-9_.-]/gi, '_')
  const dataDir = join(settings.dataDir, 'testdata', name)
  return { ...settings, dataDir, logsDir: join(dataDir, 'logs') }
}

/**
 * @param {Settings} settings
 * @param {string[]} args
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<number>}
 */
async function runTestDatabase(settings, args, { signal }) {
  const { root, dataDir } = settings
  await withCheckout(settings, signal, () => install(settings, signal))
  await withCheckout(settings, signal, () => build(settings, signal))
  const env = { ...process.env, ADUANA_DATA_DIR: dataDir }
  const command = [process.execPath, join(root, PROGRAMS.testDatabase), ...args]
  const { code } = await runProgram({ command, env, cwd: root, signal })
  return code ?? 1
}
