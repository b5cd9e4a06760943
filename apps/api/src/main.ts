import { StoreError } from '@aduana/artifacts/store'
import { MigrationError } from '@aduana/db/migrations'
import { ApiSettings, readSettings } from '@aduana/runtime/config'
import { armFailPointsFrom } from '@aduana/runtime/fail-points'
import { createResources, type Resources, runProgram, untilStopped } from '@aduana/runtime/lifecycle'
import { createLogger, type Logger } from '@aduana/runtime/logger'
import { buildApp } from './app.ts'
import { acquireContext } from './resources.ts'
import { ensureFirstAdmin } from './users/first-admin.ts'

// Longer than the grace period of requests. Requests that still wait for an unresponsive server are abandoned.
const RELEASE_TIMEOUT_MS = 8000

/** Acquires the resources of the API and listens. `resources` releases them in reverse. Returns the address. */
async function start(settings: ApiSettings, logger: Logger, resources: Resources): Promise<string> {
  const context = await acquireContext(settings, logger, resources)
  const admin = await ensureFirstAdmin(context.db, {
    email: settings.ADUANA_ADMIN_EMAIL,
    password: settings.ADUANA_ADMIN_PASSWORD,
  })
  if (admin?.generatedPassword)
    logger.warn(
      { event: 'users.first_admin' },
      `The first admin is ${admin.email} with the password ${admin.generatedPassword}. The password is not shown again`,
    )
  const app = await buildApp(context)
  resources.add('http', () => app.close())
  return app.listen({ host: settings.HOST, port: settings.PORT })
}

async function main(): Promise<number> {
  const settings = readSettings(ApiSettings, process.env)
  // Only the user of this process may read its files.
  process.umask(0o077)
  const logger = createLogger({ name: 'api', level: settings.LOG_LEVEL, pretty: settings.LOG_PRETTY })
  armFailPointsFrom(process.env.ADUANA_FAIL_POINTS ?? '')
  const stopped = untilStopped(settings.ADUANA_PARENT_PID)
  const resources = createResources(logger, RELEASE_TIMEOUT_MS)
  try {
    logger.info({ event: 'api.ready', address: await start(settings, logger, resources) })
    logger.info({ event: 'api.stopping', reason: await stopped })
  } finally {
    await resources.release()
  }
  return 0
}

runProgram(main, [StoreError, MigrationError])
