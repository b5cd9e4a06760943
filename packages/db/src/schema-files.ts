import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createLogger } from '@aduana/runtime/logger'
import pg from 'pg'
import { migrate, readMigrations } from './migrations.ts'
import { dumpSchema } from './schema-dump.ts'

/** The schema as text, for people and for comparison. */
export const SCHEMA_DUMP = fileURLToPath(new URL('../schema.dump.txt', import.meta.url))
/** The schema as types, for the compiler. */
export const SCHEMA_TYPES = fileURLToPath(new URL('../src/schema.generated.ts', import.meta.url))

const CODEGEN = fileURLToPath(new URL('../node_modules/.bin/kysely-codegen', import.meta.url))

/** The content of both files, generated from a database that only the migrations have created. */
export interface SchemaFiles {
  dump: string
  types: string
}

/** Creates a database on the server of `url`, migrates it, returns its description, and drops it. */
export async function describeMigrations(url: string): Promise<SchemaFiles> {
  const name = `schema_${randomUUID().replaceAll('-', '')}`
  const fresh = new URL(url)
  fresh.pathname = `/${name}`
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  try {
    await admin.query(`create database ${name}`)
    const logger = createLogger({ name: 'schema', level: 'silent', pretty: false })
    await migrate(fresh.href, await readMigrations(), logger)
    return { dump: await dumpOf(fresh.href), types: await typesOf(fresh.href) }
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.end()
  }
}

async function dumpOf(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await dumpSchema(client)
  } finally {
    await client.end()
  }
}

async function typesOf(url: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-schema-'))
  try {
    const file = join(folder, 'schema.ts')
    const parsers = ['--date-parser', 'string', '--numeric-parser', 'string']
    await promisify(execFile)(
      CODEGEN,
      ['--dialect', 'postgres', '--url', url, '--out-file', file, ...parsers],
      { cwd: folder },
    )
    return await readFile(file, 'utf8')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
