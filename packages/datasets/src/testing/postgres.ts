import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { serviceUrl } from '@aduana/testkit/settings'
import pg from 'pg'
import { from, to } from 'pg-copy-streams'

/** A new database with the schema of the migrations. */
export interface TestPostgres {
  client: pg.Client
  /** Sends a file to a `COPY … FROM STDIN` and returns the number of rows. */
  copy(statement: string, file: string): Promise<number>
  /** Returns the output of a `COPY … TO STDOUT`. */
  copyOut(statement: string): Promise<string>
  close(): Promise<void>
}

/** Creates a database on the shared test server, and migrates it. */
export async function openTestPostgres(): Promise<TestPostgres> {
  const server = serviceUrl('TEST_DATABASE_URL')
  const name = `datasets_${randomUUID().replaceAll('-', '')}`
  await once(server, `create database "${name}"`)
  const url = new URL(server)
  url.pathname = `/${name}`
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  await migrateSchema(client)
  return {
    client,
    async copy(statement, file) {
      const stream = client.query(from(statement))
      await pipeline(createReadStream(file), stream)
      return stream.rowCount
    },
    copyOut: (statement) => text(client.query(to(statement))),
    async close() {
      await client.end()
      await once(server, `drop database "${name}"`)
    },
  }
}

async function migrateSchema(client: pg.Client): Promise<void> {
  const folder = new URL('../../../../migrations/', import.meta.url)
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()
  for (const file of files) await client.query(await readFile(new URL(file, folder), 'utf8'))
}

async function once(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
