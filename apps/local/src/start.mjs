import { join } from 'node:path'
import { startApi, startWorkers } from './application.mjs'
import { during, info, warn } from './console.mjs'
import { runFirstDemo } from './demo.mjs'
import { LaunchError } from './errors.mjs'
import { forgetState, writeState } from './state.mjs'
import { prepare } from './system.mjs'

/**
 * `npm start`: everything on this machine, until it is stopped. With `--once` it stops after the demo.
 * @type {import('./commands.mjs').Command}
 */
export async function start({ settings, life, args }) {
  const once = args.includes('--once')
  const unknown = args.find((arg) => arg !== '--once')
  if (unknown !== undefined)
    throw new LaunchError(`unknown option "${unknown}". The only option of start is --once.`, 2)

  const { env, databaseUrl, redisUrl, adminPassword, serviceDied } = await prepare(settings, life)
  life.own('the closing message', () => info('stopping PostgreSQL and Redis …'))
  const workers = startWorkers(settings, env)
  life.own('the workers', () => Promise.all(workers.map((worker) => worker.stop())))
  const api = await during('starting the API and the workers', () => startApi(settings, env, life.signal))
  life.own('the API', () => api.stop())
  const login = { url: api.url, email: settings.adminEmail, password: adminPassword }
  writeState(settings.dataDir, { ...login, databaseUrl, redisUrl })
  life.own('the state file', () => forgetState(settings.dataDir))
  if (api.port !== settings.port) info(`port ${settings.port} is in use, so the API listens on ${api.port}`)
  printAddresses(settings, login)

  const broken = Promise.race([serviceDied, ...[api, ...workers].map(({ gaveUp }) => gaveUp)])
  const end = await stayUp({ settings, life, login, broken, once })
  if (end instanceof Error) warn(`${end.message}\nStopping everything.`)
  else info(`${life.reason() || 'done'}: stopping the API and the workers …`)
  return end instanceof Error ? 1 : end
}

/**
 * The demo on the first run, then the wait for the end.
 * @param {object} options
 * @param {import('./settings.mjs').Settings} options.settings
 * @param {import('./lifetime.mjs').Lifetime} options.life
 * @param {{ url: string, email: string, password: string }} options.login
 * @param {Promise<LaunchError>} options.broken resolves when something died that is not started again
 * @param {boolean} options.once
 * @returns {Promise<number | LaunchError>} the exit code, or what broke
 */
async function stayUp({ settings, life, login, broken, once }) {
  const stopped = life.stopRequested.then(() => 0)
  if (settings.demo) {
    const end = await Promise.race([runFirstDemo(settings, login, life), broken, stopped])
    if (end instanceof Error || life.signal.aborted) return end
    if (end !== 0) warn('the demo failed. To run it again: npm run demo')
    if (once) return end
  }
  if (once) return 0
  info('press Ctrl-C to stop everything')
  return Promise.race([stopped, broken])
}

/**
 * @param {import('./settings.mjs').Settings} settings
 * @param {{ url: string, email: string, password: string }} login
 */
function printAddresses({ dataDir, logsDir }, { url, email, password }) {
  const shown = process.env.ADUANA_ADMIN_PASSWORD ? '(the one in ADUANA_ADMIN_PASSWORD)' : password
  info('Aduana is running')
  console.log(`
  API and its documentation   ${url}/docs
  Queues (Bull Board)         ${url}/admin/queues
  First admin                 ${email}
  Password                    ${shown}
  Logs                        ${logsDir}
  Data                        ${dataDir} (addresses of PostgreSQL and Redis: ${join(dataDir, 'state.json')})
`)
}
