import { openArtifactStore } from '@aduana/artifacts/open-store'
import type { ArtifactStore, OpenStore } from '@aduana/artifacts/store'
import { createDatabase } from '@aduana/db/database'
import { createPool } from '@aduana/db/pool'
import { emptyDatabase, inspectDatabase, makeDatabase, whyKept } from '@aduana/db/test-database'
import { removeKeys } from '@aduana/queue/remove-keys'
import { CommonSettings, readSettings } from '@aduana/runtime/config'
import { createLogger, type Logger } from '@aduana/runtime/logger'
import { z } from 'zod'

/* `node …/test-database.js make` creates a test database, `clean [--yes]` empties it. */

const Settings = CommonSettings.extend({ REDIS_URL: z.string().optional() })
type Settings = z.infer<typeof Settings>

async function make({ DATABASE_URL }: Settings): Promise<number> {
  if (await makeDatabase(DATABASE_URL)) process.stdout.write('created the database\n')
  return 0
}

/**
 * Empties the database, its files and its keys in Redis. Files are removed before the tables that list them, and the id of
 * the store last, so that an interrupted call can be repeated.
 */
async function clean(settings: Settings, logger: Logger, confirmed: boolean): Promise<number> {
  const contents = await inspectDatabase(settings.DATABASE_URL)
  const why = whyKept(contents, confirmed)
  if (why !== undefined) {
    process.stderr.write(`${why}\n`)
    return 1
  }
  const opened = await openStore(settings, logger)
  const files = opened ? await removeFiles(opened.store) : 0
  const keys = settings.REDIS_URL ? await removeKeys(settings.REDIS_URL, settings.QUEUE_PREFIX, logger) : 0
  await emptyDatabase(settings.DATABASE_URL)
  await opened?.store.remove('store-id')
  opened?.close()
  process.stdout.write(`"${contents.name}" is empty; removed ${files} files and ${keys} Redis keys\n`)
  return 0
}

/** Returns the artifact store of the database; undefined when it has never had one. */
async function openStore(settings: Settings, logger: Logger): Promise<OpenStore | undefined> {
  const pool = createPool({
    url: settings.DATABASE_URL,
    max: 2,
    applicationName: 'test data of aduana',
    logger,
  })
  try {
    const found = await pool.query(`select to_regclass('public.artifact_stores') is not null as there`)
    return found.rows[0]?.there
      ? await openArtifactStore(settings, { db: createDatabase(pool), logger })
      : undefined
  } finally {
    await pool.end()
  }
}

async function removeFiles(store: ArtifactStore): Promise<number> {
  let files = 0
  for await (const { key } of store.list('jobs')) {
    await store.remove(key)
    files += 1
  }
  return files
}

async function main([command, ...options]: string[]): Promise<number> {
  const settings = readSettings(Settings, process.env)
  const logger = createLogger({ name: 'test-database', level: 'warn', pretty: settings.LOG_PRETTY })
  if (command === 'make' && options.length === 0) return make(settings)
  if (command === 'clean' && options.every((option) => option === '--yes'))
    return clean(settings, logger, options.length > 0)
  process.stderr.write('usage: test-database make | clean [--yes]\n')
  return 2
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
