import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createLogger } from '@aduana/runtime/logger'
import { createEmptyDatabase } from '@aduana/testkit/database'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  checkReaderRole,
  checkSchema,
  type Migration,
  MigrationError,
  migrate,
  readMigrations,
} from './migrations.ts'
import { createPool } from './pool.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let database: Awaited<ReturnType<typeof createEmptyDatabase>>
let pool: pg.Pool
let folder: string
beforeEach(async () => {
  database = await createEmptyDatabase()
  pool = createPool({ url: database.url, max: 4, applicationName: 'test', logger })
  folder = await mkdtemp(join(tmpdir(), 'aduana-migrations-'))
})
afterEach(async () => {
  await pool.end()
  await database.drop()
  await rm(folder, { recursive: true })
})

/** A folder with these migrations, and nothing else, as the program would read it. */
async function program(...files: readonly [name: string, sql: string][]): Promise<Migration[]> {
  await rm(folder, { recursive: true })
  folder = await mkdtemp(join(tmpdir(), 'aduana-migrations-'))
  for (const [name, sql] of files) await writeFile(join(folder, name), sql)
  return readMigrations(pathToFileURL(`${folder}/`))
}

const ONE = ['0001_one.sql', 'create table one (n integer); insert into one values (1)'] as const
const TWO = ['0002_two.sql', 'create table two (n integer)'] as const
const BREAKING = ['0002_two.sql', '-- breaking: one is gone\ndrop table one'] as const

const applied = async () =>
  (await pool.query('select name, breaking from schema_migrations order by number')).rows

test('an empty database is brought up to date by the migrations of the tree, once', async () => {
  const migrations = await readMigrations()
  expect(await migrate(database.url, migrations, logger)).toBe(migrations.length)
  expect(await migrate(database.url, migrations, logger)).toBe(0)
  await checkSchema(pool, migrations)
  expect((await applied()).map((row) => row.name)).toEqual(migrations.map(({ name }) => name))
})

test('several processes that migrate one empty database concurrently apply each migration once', async () => {
  const migrations = await program([...ONE], [...TWO])
  const counts = await Promise.all(Array.from({ length: 8 }, () => migrate(database.url, migrations, logger)))
  expect(counts.sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 2])
  expect((await pool.query('select n from one')).rows).toEqual([{ n: 1 }])
})

test('only missing migrations are applied', async () => {
  await migrate(database.url, await program([...ONE]), logger)
  expect(await migrate(database.url, await program([...ONE], [...TWO]), logger)).toBe(1)
  expect(await applied()).toEqual([
    { name: '0001_one.sql', breaking: false },
    { name: '0002_two.sql', breaking: false },
  ])
})

test('a migration that was changed after it was applied is refused by name', async () => {
  await migrate(database.url, await program([...ONE]), logger)
  const changed = await program(['0001_one.sql', 'create table one (n bigint)'])
  const message = /0001_one\.sql was changed after it had been applied.*add a new migration/
  await expect(migrate(database.url, changed, logger)).rejects.toThrow(message)
  await expect(checkSchema(pool, changed)).rejects.toThrow(message)
})

test('an older program refuses a database that a newer one has changed in a breaking way', async () => {
  await migrate(database.url, await program([...ONE], [...BREAKING]), logger)
  expect(await applied()).toContainEqual({ name: '0002_two.sql', breaking: true })
  const older = await program([...ONE])
  const message = /is at 0002_two\.sql, which this program is too old for.*newer program/
  await expect(checkSchema(pool, older)).rejects.toThrow(message)
  await expect(migrate(database.url, older, logger)).rejects.toThrow(message)
})

test('an older program works with a database that a newer one has only added to', async () => {
  await migrate(database.url, await program([...ONE], [...TWO]), logger)
  const older = await program([...ONE])
  await checkSchema(pool, older)
  expect(await migrate(database.url, older, logger)).toBe(0)
})

test('a migration that fails leaves nothing of itself and keeps those before it', async () => {
  const failing = await program([...ONE], ['0002_two.sql', 'create table two (n integer); select 1 / 0'])
  const error = await migrate(database.url, failing, logger).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(MigrationError)
  expect(error).toMatchObject({
    message: expect.stringMatching(/0002_two\.sql failed and was rolled back/),
    cause: { code: '22012' },
  })
  expect(await applied()).toEqual([{ name: '0001_one.sql', breaking: false }])
  expect((await pool.query(`select to_regclass('two') as two`)).rows).toEqual([{ two: null }])
  // Mended, it goes on from there.
  expect(await migrate(database.url, await program([...ONE], [...TWO]), logger)).toBe(1)
})

test('a program reports which migration the database lacks', async () => {
  await expect(checkSchema(pool, await program([...ONE]))).rejects.toThrow(
    /migration 0001_one\.sql has not been applied\. Run the migrations/,
  )
  await migrate(database.url, await program([...ONE]), logger)
  await expect(checkSchema(pool, await program([...ONE], [...TWO]))).rejects.toThrow(
    /migration 0002_two\.sql has not been applied/,
  )
})

test.each([
  ['a number is missing', ['0001_one.sql', '0003_three.sql'], /0003_three\.sql: expected the name 0002_/],
  ['a number is there twice', ['0001_one.sql', '0001_two.sql'], /0001_two\.sql: expected the name 0002_/],
  ['a name is off', ['1_one.sql'], /1_one\.sql: expected the name 0001_/],
  ['a name has capitals', ['0001_One.sql'], /0001_One\.sql: expected the name 0001_/],
])('a folder of migrations is refused when %s', async (_, names, message) => {
  await expect(program(...names.map((name) => [name, ''] as [string, string]))).rejects.toThrow(message)
})

test('other files in the folder are ignored', async () => {
  expect(await program([...ONE], ['README.md', 'text'])).toHaveLength(1)
})

test('a user without the right to create the role of readers gets the statements for an administrator', async () => {
  const name = `limited_${randomUUID().replaceAll('-', '')}`
  const url = new URL(database.url)
  // Another database has it already, or has not: roles belong to the server.
  await migrate(database.url, await readMigrations(), logger)
  const own = await createEmptyDatabase()
  const ownName = new URL(own.url).pathname.slice(1)
  await pool.query(`create role ${name} login password 'x'`)
  try {
    await pool.query(`alter database ${ownName} owner to ${name}`)
    Object.assign(url, { pathname: ownName, username: name, password: 'x' })
    const grant = `grant aduana_reader to ${name} with inherit false, set true;`
    const migrations = await readMigrations()
    const failed = migrate(url.href, migrations, logger)
    await expect(failed).rejects.toThrow(MigrationError)
    await expect(failed).rejects.toThrow(`is not granted, and the user ${name} may not change that.`)
    await expect(failed).rejects.toThrow(grant)

    const client = new pg.Client({ connectionString: url.href })
    await client.connect()
    const missing = checkReaderRole(client, 'reader_that_is_not_there')
    await expect(missing).rejects.toThrow(
      `  create role reader_that_is_not_there nologin;\n  grant reader_that_is_not_there to ${name} with inherit false, set true;\n`,
    )
    await pool.query(`alter role ${name} createrole`)
    await checkReaderRole(client, 'reader_that_is_not_there')
    await pool.query(`alter role ${name} nocreaterole`)
    await client.end()

    await pool.query(grant)
    expect(await migrate(url.href, migrations, logger)).toBe(migrations.length)
  } finally {
    await own.drop()
    await pool.query(`drop role ${name}`)
  }
})
