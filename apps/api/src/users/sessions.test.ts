import { randomUUID } from 'node:crypto'
import { createPool } from '@aduana/db/pool'
import type { DB } from '@aduana/db/schema.generated'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createFindPrincipal, type SessionKey } from './sessions.ts'

let database: TestDatabase
let pool: pg.Pool
let db: Kysely<DB>
let asked = 0

beforeAll(async () => {
  database = await createTestDatabase()
  const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
  pool = createPool({ url: database.url, max: 4, applicationName: 'test', logger })
  db = new Kysely<DB>({
    dialect: new PostgresDialect({ pool }),
    log: () => {
      asked += 1
    },
  })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})

async function sessionOfNewUser(): Promise<SessionKey> {
  const { id } = await db
    .insertInto('users')
    .values({ email: `${randomUUID()}@example.com`, role: 'viewer', password_hash: 'none' })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { sessionId: randomUUID(), userId: id, version: 1, expiresAt: new Date(Date.now() + 60_000) }
}

test('of a hundred concurrent requests those that arrive during a query share the next one, and each gets its own user', async () => {
  const keys = await Promise.all(Array.from({ length: 100 }, sessionOfNewUser))
  const find = createFindPrincipal(db)
  asked = 0
  const first = find(keys[0] ?? (await sessionOfNewUser()))
  await Promise.resolve()
  const rest = keys.slice(1).map(find)
  const found = await Promise.all([first, ...rest])
  expect(found.map((principal) => principal?.userId)).toEqual(keys.map(({ userId }) => userId))
  expect(asked).toBe(2)
})

test('a query that fails fails its requests, and the next query runs', async () => {
  const key = await sessionOfNewUser()
  const find = createFindPrincipal(db)
  await expect(find({ ...key, userId: 'no id' })).rejects.toThrow(/uuid/)
  expect((await find(key))?.userId).toBe(key.userId)
})
