import { createHash, randomUUID } from 'node:crypto'
import { registerDatasets } from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { NUMBERED_LOCKS } from '@aduana/db/advisory-locks'
import { createDatabase, type Database } from '@aduana/db/database'
import { migrate, readMigrations } from '@aduana/db/migrations'
import { createPool } from '@aduana/db/pool'
import { createLogger } from '@aduana/runtime/logger'
import pg from 'pg'
import { serviceUrl } from './settings.ts'
import { until } from './until.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

/** A migrated database of one test, with the shipped datasets. */
export interface TestDatabase {
  url: string
  pool: pg.Pool
  db: Database
  /** Declares that the test provokes deadlocks: `drop` then accepts any number of them. */
  expectDeadlocks(): void
  /**
   * Closes the pool and drops the database, even if other connections are open.
   * @throws Error when transactions in it have deadlocked, after it is dropped
   */
  drop(): Promise<void>
}

/**
 * Clones a database from a template, which is created once for each set of migrations and definitions. The server is that
 * of all tests unless another is given.
 */
export async function createTestDatabase(server = serviceUrl('TEST_DATABASE_URL')): Promise<TestDatabase> {
  const template = await ensureTemplate(server)
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asAdmin((admin) => createFrom(admin, name, template), server)
  return openTestDatabase(databaseUrl(name, server), server)
}

/** Opens an existing database on `server` as that of one test: `drop` drops it at the end. */
export function openTestDatabase(url: string, server = serviceUrl('TEST_DATABASE_URL')): TestDatabase {
  const name = new URL(url).pathname.slice(1)
  const pool = createPool({ url, max: 8, applicationName: 'test', logger })
  let provoked = false
  return {
    url,
    pool,
    db: createDatabase(pool),
    expectDeadlocks: () => {
      provoked = true
    },
    drop: async () => {
      await pool.end()
      const deadlocks = await asAdmin((admin) => countAndDrop(admin, name), server)
      if (deadlocks > 0 && !provoked)
        throw new Error(
          `${deadlocks} deadlocks in ${name}: a path takes locks in another order than that of docs/guides/locks.md. The log of PostgreSQL has their statements.`,
        )
    },
  }
}

/** Drops a database and returns the number of deadlocks in it. */
async function countAndDrop(admin: pg.Client, name: string): Promise<number> {
  const deadlocks = await countDeadlocks(admin, name)
  await admin.query(`drop database if exists ${name} with (force)`)
  return deadlocks
}

/** Terminates the connections of a database and counts its deadlocks. Connections report their counts when they end. */
async function countDeadlocks(admin: pg.Client, name: string): Promise<number> {
  const others = 'from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()'
  await until(
    async () => (await admin.query(`select pg_terminate_backend(pid) ${others}`, [name])).rowCount === 0,
    { within: 20_000, what: `nothing is connected to ${name}` },
  )
  const found = await admin.query<{ deadlocks: string }>(
    'select deadlocks from pg_stat_database where datname = $1',
    [name],
  )
  return Number(found.rows[0]?.deadlocks ?? 0)
}

/** Creates an empty database, for tests of the migrations. */
export async function createEmptyDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asAdmin((admin) => admin.query(`create database ${name}`))
  return {
    url: databaseUrl(name),
    drop: async () => {
      await asAdmin((admin) => admin.query(`drop database if exists ${name} with (force)`))
    },
  }
}

function databaseUrl(name: string, server = serviceUrl('TEST_DATABASE_URL')): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

async function asAdmin<T>(
  work: (admin: pg.Client) => Promise<T>,
  server = serviceUrl('TEST_DATABASE_URL'),
): Promise<T> {
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}

async function createFrom(admin: pg.Client, name: string, template: string): Promise<void> {
  // Only one session at a time can clone a template.
  await admin.query('select pg_advisory_lock($1)', [NUMBERED_LOCKS.testTemplates])
  // file_copy: the default writes every page to the WAL and takes three times the processor time, ten times on a busy server.
  await admin.query(`create database ${name} template ${template} strategy file_copy`)
}

async function ensureTemplate(server: string): Promise<string> {
  const migrations = await readMigrations()
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([migrations.map(({ sha256 }) => sha256), SHIPPED]))
    .digest('hex')
    .slice(0, 16)
  const name = `aduana_template_${fingerprint}`
  await asAdmin(async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [NUMBERED_LOCKS.testTemplates])
    const existing = await admin.query('select 1 from pg_database where datname = $1 and datistemplate', [
      name,
    ])
    if (existing.rowCount === 1) return
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.query(`create database ${name}`)
    const url = databaseUrl(name, server)
    await migrate(url, migrations, logger)
    const pool = createPool({ url, max: 1, applicationName: 'test template', logger })
    await registerDatasets(createDatabase(pool), SHIPPED)
    await pool.end()
    await admin.query(`alter database ${name} with is_template true allow_connections false`)
  }, server)
  return name
}
