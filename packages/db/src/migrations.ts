import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'
import { NUMBERED_LOCKS } from './advisory-locks.ts'

/** A migration file, `0001_name.sql`. `-- breaking` on its first line marks one that older programs cannot work with. */
export interface Migration {
  number: number
  name: string
  sql: string
  sha256: string
  breaking: boolean
}

/** The schema of the database does not match this program; the message says what to do. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

/** The folder of the migrations, next to `packages` and `apps`. */
const MIGRATIONS_FOLDER = new URL('../../../migrations/', import.meta.url)

const FILE = /^(\d{4})_([a-z0-9_]+)\.sql$/

/** Reads the migrations of a folder in order. @throws MigrationError when a name is invalid, or a number missing or repeated */
export async function readMigrations(folder: URL = MIGRATIONS_FOLDER): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name, index) => {
      const [, number] = FILE.exec(name) ?? []
      if (Number(number) !== index + 1)
        throw new MigrationError(
          `migrations/${name}: expected the name ${String(index + 1).padStart(4, '0')}_<name>.sql`,
        )
      const sql = await readFile(new URL(name, folder), 'utf8')
      const sha256 = createHash('sha256').update(sql).digest('hex')
      return { number: index + 1, name, sql, sha256, breaking: /^-- breaking\b/.test(sql) }
    }),
  )
}

/**
 * Applies all pending migrations, each in a transaction, under a lock, so that several processes may call it at once.
 * Returns the number of applied migrations.
 * @throws MigrationError when an applied migration differs from its file, or the database is ahead by a breaking one
 */
export async function migrate(url: string, migrations: Migration[], logger: Logger): Promise<number> {
  const client = new pg.Client({ connectionString: url, application_name: 'aduana migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [NUMBERED_LOCKS.migrations])
    await client.query(`create table if not exists schema_migrations (
      number integer primary key, name text not null, sha256 text not null, breaking boolean not null,
      applied_at timestamptz not null default now())`)
    const applied = await readApplied(client)
    assertNoMismatch(applied, migrations)
    if (applied.length === 0) await checkReaderRole(client)
    const pending = migrations.slice(applied.length)
    for (const migration of pending) {
      await apply(client, migration)
      logger.info({ event: 'db.migrated', migration: migration.name })
    }
    return pending.length
  } finally {
    await client.end()
  }
}

/**
 * Checks the role that the first migration requires. Roles belong to the server, not to the database: `aduana_reader` must
 * exist and be granted to the user, or the user must be able to create and grant it.
 * @throws MigrationError with the statements for an administrator
 */
export async function checkReaderRole(client: pg.ClientBase, role = 'aduana_reader'): Promise<void> {
  const { rows } = await client.query<Record<'user' | 'missing' | 'makes' | 'member' | 'grants', unknown>>(
    `select format('%I', current_user) as user, r.oid is null as missing, u.rolsuper or u.rolcreaterole as makes,
      u.rolsuper or coalesce(pg_has_role(r.oid, 'SET'), false) as member,
      u.rolsuper or coalesce(pg_has_role(r.oid, 'SET WITH ADMIN OPTION'), false) as grants
    from pg_roles u left join pg_roles r on r.rolname = $1 where u.rolname = current_user`,
    [role],
  )
  const [found] = rows
  if (!found) throw new Error('the server does not know its own user')
  const { user, missing, makes, member, grants } = found
  if (missing === true ? makes === true : member === true || grants === true) return
  const lines = [
    ...(missing === true ? [`create role ${role} nologin;`] : []),
    `grant ${role} to ${String(user)} with inherit false, set true;`,
  ]
  throw new MigrationError(
    `The migrations need the role ${role}, which ${missing === true ? 'does not exist' : 'is not granted'}, and the user ${String(user)} may not change that. Ask an administrator of the server to run these statements, then run the migrations again:\n\n${lines.map((line) => `  ${line}`).join('\n')}\n`,
  )
}

/**
 * Checks that this program can work with the schema of the database.
 * @throws MigrationError when a migration has not been applied, or a newer program has applied a breaking one
 */
export async function checkSchema(pool: pg.Pool, migrations: Migration[]): Promise<void> {
  const exists = await pool.query(`select to_regclass('schema_migrations') is not null as yes`)
  const applied = exists.rows[0]?.yes === true ? await readApplied(pool) : []
  assertNoMismatch(applied, migrations)
  const missing = migrations[applied.length]
  if (missing)
    throw new MigrationError(
      `The migration ${missing.name} has not been applied. Run the migrations before you start.`,
    )
}

interface Applied {
  number: number
  name: string
  sha256: string
  breaking: boolean
}

async function readApplied(client: pg.Client | pg.Pool): Promise<Applied[]> {
  const result = await client.query<Applied>(
    'select number, name, sha256, breaking from schema_migrations order by number',
  )
  return result.rows
}

function assertNoMismatch(applied: Applied[], migrations: Migration[]): void {
  for (const row of applied) {
    const ours = migrations[row.number - 1]
    if (ours && ours.sha256 !== row.sha256)
      throw new MigrationError(
        `The migration ${row.name} was changed after it had been applied. Restore it, and add a new migration instead.`,
      )
    if (!ours && row.breaking)
      throw new MigrationError(
        `The database is at ${row.name}, which this program is too old for. Start the newer program.`,
      )
  }
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  try {
    await client.query('begin')
    await client.query(migration.sql)
    await client.query(
      'insert into schema_migrations (number, name, sha256, breaking) values ($1, $2, $3, $4)',
      [migration.number, migration.name, migration.sha256, migration.breaking],
    )
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw new MigrationError(`The migration ${migration.name} failed and was rolled back.`, { cause: error })
  }
}
