import { tmpdir } from 'node:os'
import { createDiskStore } from '@aduana/artifacts/disk-store'
import { createDatabase } from '@aduana/db/database'
import { createPool } from '@aduana/db/pool'
import { ApiSettings, readSettings } from '@aduana/runtime/config'
import { createLogger } from '@aduana/runtime/logger'
import { buildApp } from './app.ts'

/** The file of the published document. */
export const OPENAPI_FILE = new URL('../../../docs/openapi.json', import.meta.url)

/** Returns the OpenAPI document as text. Needs no services: the application is built but receives no requests. */
export async function openApiDocument(): Promise<string> {
  const settings = readSettings(ApiSettings, {
    DATABASE_URL: 'postgres://localhost/',
    REDIS_URL: 'redis://localhost',
    ADUANA_JWT_SECRET: 'only to build the document, signs nothing',
  })
  const logger = createLogger({ name: 'openapi', level: 'silent', pretty: false })
  const pool = createPool({ url: settings.DATABASE_URL, max: 1, applicationName: 'openapi', logger })
  const app = await buildApp({
    settings,
    logger,
    db: createDatabase(pool),
    store: createDiskStore(tmpdir()),
    checkSchema: async () => undefined,
    pingRedis: async () => undefined,
    checkRedis: async () => undefined,
    observeQueues: async () => [],
    followProgress: () => ({ healthy: () => false, close: async () => undefined }),
    followSessions: () => ({ close: async () => undefined }),
    board: [],
  })
  try {
    await app.ready()
    return `${JSON.stringify(app.swagger(), undefined, 2)}\n`
  } finally {
    await app.close()
    await pool.end()
  }
}
