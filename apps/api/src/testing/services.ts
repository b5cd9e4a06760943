import { randomUUID } from 'node:crypto'
import { SHIPPED } from '@aduana/datasets/shipped'
import { migrate, readMigrations } from '@aduana/db/migrations'
import { createLogger } from '@aduana/runtime/logger'
import pg from 'pg'

export async function createTestDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const admin = process.env.TEST_DATABASE_URL ?? ''
  const name = `api_test_${randomUUID().slice(0, 8)}`
  const run = async (text: string) => {
    const client = new pg.Client({ connectionString: admin })
    await client.connect()
    await client.query(text)
    await client.end()
  }
  await run(`create database ${name}`)
  const url = new URL(admin)
  url.pathname = `/${name}`
  await migrate(url.href, await readMigrations(), createLogger({ name: 't', level: 'silent', pretty: false }))
  void SHIPPED
  return { url: url.href, drop: () => run(`drop database ${name} with (force)`) }
}

export function testRedis() {
  return { url: process.env.TEST_REDIS_URL ?? '', prefix: `{t${randomUUID().slice(0, 8)}}` }
}
