import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { applicationEnvironment, migrate, PROGRAMS } from './application.mjs'
import { build, canChange, withCheckout } from './checkout.mjs'
import { info } from './console.mjs'
import { LaunchError } from './errors.mjs'
import { install } from './install.mjs'
import { takeLock } from './lock.mjs'
import { describe } from './processes.mjs'
import { keepSecrets } from './secrets.mjs'
import { providePostgres, provideRedis, sideBySide } from './services.mjs'
import { makeDataDir } from './settings.mjs'
import { forgetState, lockFileOf } from './state.mjs'

/**
 * @typedef {object} Prepared
 * @property {NodeJS.ProcessEnv} env of the programs
 * @property {string} databaseUrl
 * @property {string} redisUrl
 * @property {string} adminPassword
 * @property {Promise<LaunchError>} serviceDied resolves when PostgreSQL or Redis ends unexpectedly
 */

/**
 * Everything before the programs: lock, dependencies, services, build, migration, secrets.
 * @param {import('./settings.mjs').Settings} settings
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<Prepared>}
 */
export async function prepare(settings, life) {
  const { signal } = life
  makeDataDir(settings)
  own(settings, life)
  const changeable = canChange(settings.root)
  if (changeable) await withCheckout(settings, signal, () => install(settings, signal))
  else {
    assertBuilt(settings.root)
    info('this user cannot write to the checkout: starting the existing build')
  }
  info('starting PostgreSQL and Redis …')
  const services = sideBySide(
    [
      {
        name: 'PostgreSQL',
        start: () => providePostgres(settings, signal),
        stop: (running) => running.stop(),
      },
      { name: 'Redis', start: () => provideRedis(settings, signal), stop: (running) => running.stop() },
    ],
    life,
  )
  const built = changeable ? withCheckout(settings, signal, () => build(settings, signal)) : undefined
  const [servicesEnd, buildEnd] = await Promise.allSettled([services, built])
  if (servicesEnd.status === 'rejected') throw servicesEnd.reason
  if (buildEnd.status === 'rejected') throw buildEnd.reason
  assertBuilt(settings.root)
  const [postgres, redis] = servicesEnd.value
  if (postgres === undefined || redis === undefined) throw new Error('two services were started')

  const parts = { databaseUrl: postgres.url, redisUrl: redis.url, ...keepSecrets(settings.dataDir) }
  const env = applicationEnvironment(settings, parts)
  info('migrating the database …')
  await migrate(settings, env, signal)
  return { env, ...parts, serviceDied: firstDeath([postgres.service, redis.service]) }
}

/**
 * Takes the data folder for this process.
 * @param {import('./settings.mjs').Settings} settings
 * @param {import('./lifetime.mjs').Lifetime} life
 */
function own({ dataDir }, life) {
  const lock = takeLock(lockFileOf(dataDir))
  if ('heldBy' in lock) {
    throw new LaunchError(
      `Aduana is already running on ${dataDir} (process ${lock.heldBy.pid}). ` +
        'Stop it first, or set ADUANA_DATA_DIR to another folder for a second one.',
    )
  }
  life.own('the lock', lock.release)
  forgetState(dataDir)
}

/** @param {string} root */
function assertBuilt(root) {
  const missing = Object.values(PROGRAMS).filter((program) => !existsSync(join(root, program)))
  if (missing.length === 0) return
  if (canChange(root))
    throw new LaunchError(
      `the build did not create ${missing.join(', ')}. See build.log in the folder of the logs.`,
    )
  throw new LaunchError(
    `this user cannot write to the checkout ${root}, and it is not built: ${missing.join(', ')} do not exist. Build it as its owner: npm start -- --once, or npx pnpm install --frozen-lockfile and npm run build.`,
  )
}

/**
 * @param {(import('./processes.mjs').Service | undefined)[]} services those of others are undefined and not watched
 * @returns {Promise<LaunchError>}
 */
function firstDeath(services) {
  return Promise.race(
    services.map(async (service) => {
      if (service === undefined) return new Promise(() => undefined)
      const ending = await service.exited
      return new LaunchError(`${service.name} died (${describe(ending)}); its log: ${service.logFile}`)
    }),
  )
}
