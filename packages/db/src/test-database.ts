import pg from 'pg'
import { readMigrations } from './migrations.ts'

/** What the files of test data are called; `aduana testdata` names them so. */
const TESTDATA_FILE = 'testdata-'

/** What must be known of a database before all of it is removed. */
export interface Contents {
  /** Its name. */
  name: string
  /** Imports whose files were not made as test data. */
  realImports: number
  /** Tables that Aduana has not made. */
  strangers: string[]
  /** Programs of Aduana that are connected. */
  connected: string[]
}

/** Creates the database of a URL unless it exists. Returns true if it was created. */
export async function makeDatabase(url: string): Promise<boolean> {
  const name = databaseOf(url)
  try {
    await withClient(url, () => Promise.resolve())
    return false
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === '3D000')) throw error
  }
  const server = new URL(url)
  server.pathname = '/postgres'
  await withClient(server.href, (client) => client.query(`create database ${client.escapeIdentifier(name)}`))
  return true
}

/** Inspects the contents of a database. */
export function inspectDatabase(url: string): Promise<Contents> {
  return withClient(url, async (client) => {
    const connected = await client.query<{ name: string }>(
      `select distinct application_name as name from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and application_name like 'aduana %' order by 1`,
    )
    return {
      name: databaseOf(url),
      realImports: await countRealImports(client),
      strangers: await strangers(client),
      connected: connected.rows.map(({ name }) => name),
    }
  })
}

async function countRealImports(client: pg.Client): Promise<number> {
  const there = await client.query(`select from pg_class where oid = to_regclass('public.imports')`)
  if (there.rowCount === 0) return 0
  const found = await client.query<{ count: number }>(
    `select count(*)::int as count from imports where not starts_with(file_name, $1)`,
    [TESTDATA_FILE],
  )
  return found.rows[0]?.count ?? 0
}

const MADE_TABLE = /^create table (?:if not exists )?(?:public\.)?([a-z_0-9]+)/gim

/** Every table but those of the migrations, their partitions, and the tables that loads make for a while. */
async function strangers(client: pg.Client): Promise<string[]> {
  const made = (await readMigrations()).flatMap(({ sql }) =>
    [...sql.matchAll(MADE_TABLE)].map(([, name]) => name),
  )
  const found = await client.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'f', 'm') and not c.relispartition
       and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
       and not (n.nspname = 'public' and (c.relname = any($1) or c.relname ~ '^load_[0-9]'))
     order by 1`,
    [['schema_migrations', ...made]],
  )
  return found.rows.map(({ name }) => name)
}

/** Returns why a database must not be emptied; undefined when it may be. `confirmed`: the user has confirmed that it is a test database. */
export function whyKept(
  { name, realImports, strangers, connected }: Contents,
  confirmed: boolean,
): string | undefined {
  if (connected.length > 0)
    return `Programs are connected to "${name}": ${connected.join(', ')}. Stop them first.`
  if (strangers.length > 0)
    return `The database "${name}" has tables that Aduana did not create: ${strangers.slice(0, 10).join(', ')}. It was not emptied.`
  if (confirmed) return undefined
  if (realImports > 0)
    return `The database "${name}" contains ${realImports} imports that are not test data. To remove them anyway, use --yes`
  if (!/(?:^|[^a-z])test(?:s|data|ing)?(?:[^a-z]|$)/i.test(name))
    return `The name "${name}" is not that of a test database. If it is a test database, use --yes`
  return undefined
}

/** Removes everything that Aduana has created in a database. The database itself and the roles of the server stay. */
export function emptyDatabase(url: string): Promise<void> {
  return withClient(url, async (client) => {
    await client.query(
      `begin; set local lock_timeout = '10s'; drop schema public cascade; create schema public;
       grant usage on schema public to public; commit`,
    )
  })
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1))
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'test data of aduana' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
