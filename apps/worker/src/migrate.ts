import { MigrationError, migrate, readMigrations } from '@aduana/db/migrations'
import { CommonSettings, readSettings, SettingsError } from '@aduana/runtime/config'
import { createLogger } from '@aduana/runtime/logger'
import { z } from 'zod'

const Settings = CommonSettings.pick({ LOG_LEVEL: true, LOG_PRETTY: true }).extend({
  DATABASE_URL: z.string().min(1),
})

/** Applies the pending migrations. */
async function main(): Promise<void> {
  const settings = readSettings(Settings, process.env)
  const logger = createLogger({ name: 'migrate', level: settings.LOG_LEVEL, pretty: settings.LOG_PRETTY })
  const applied = await migrate(settings.DATABASE_URL, await readMigrations(), logger)
  logger.info({ event: 'db.up_to_date', applied })
}

main().catch((error: unknown) => {
  const known = error instanceof MigrationError || error instanceof SettingsError
  process.stderr.write(`${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  if (known && error.cause instanceof Error) process.stderr.write(`${error.cause.message}\n`)
  process.exitCode = 1
})
