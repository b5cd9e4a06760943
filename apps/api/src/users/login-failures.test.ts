import { randomUUID } from 'node:crypto'
import { createPool } from '@aduana/db/pool'
import type { DB } from '@aduana/db/schema.generated'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { login } from './login.ts'
import { createLoginFailures, SLOTS } from './login-failures.ts'
import { hashPassword } from './passwords.ts'

let database: TestDatabase
let pool: pg.Pool
let db: Kysely<DB>
let asked: CompiledQuery[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
  pool = createPool({ url: database.url, max: 4, applicationName: 'test', logger })
  db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }), log: ({ query }) => void asked.push(query) })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})

const attempt = () => ({ email: `${randomUUID()}@example.com`, network: `2001:db8:${randomUUID()}` })

/** Rows that a statement reads, by what PostgreSQL says of its own work. */
async function rowsRead(query: CompiledQuery): Promise<number> {
  const { rows } = await pool.query({
    text: `explain (analyze, format json) ${query.sql}`,
    values: [...query.parameters],
  })
  let read = 0
  JSON.stringify(rows[0], (name, value) => {
    if (name === 'Actual Rows' || name.startsWith('Rows Removed')) read += Number(value)
    return value
  })
  return read
}

test('random names do not grow the table beyond its slots', async () => {
  const slots = 64
  const failures = createLoginFailures(db, 'a secret', slots)
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let n = 0; n < 250; n++) await failures.add(attempt())
    }),
  )
  const rows = await db.selectFrom('login_failures').select('kind').execute()
  expect(rows.length, 'after two thousand names').toBe(3 * slots)
})

test('with every slot in use a login reads only the rows of its own keys, in two statements', async () => {
  await pool.query(`insert into login_failures
    select kind, slot, sha256(int4send(slot)), 1, now() + interval '1 hour'
    from unnest(array['account', 'network', 'account_network']) as kind, generate_series(0, ${SLOTS - 1}) as slot
    on conflict do nothing`)
  await pool.query('analyze login_failures')
  const failures = createLoginFailures(db, 'a secret')
  asked = []
  await failures.locks(attempt())
  await failures.add(attempt())
  expect(asked).toHaveLength(2)
  const [look] = asked
  if (!look) throw new Error('nothing was asked')
  // Three at most in each of the steps in which PostgreSQL finds and checks them.
  expect(await rowsRead(look)).toBeLessThanOrEqual(9)
})

test('a counter whose slot another key has taken over is reset, and never counts for another key', async () => {
  await db.deleteFrom('login_failures').execute()
  const failures = createLoginFailures(db, 'a secret', 1)
  const [one, other] = [attempt(), attempt()]
  for (let n = 0; n < 8; n++) await failures.add(one)
  expect((await failures.locks(one)).account_network).toBeGreaterThan(0)
  expect((await failures.locks(other)).account_network).toBe(0)
  await failures.add(other)
  expect((await failures.locks(one)).account_network).toBe(0)
})

test('a quarter of an hour after the first failure its counter is reset', async () => {
  await db.deleteFrom('login_failures').execute()
  const failures = createLoginFailures(db, 'a secret')
  const one = attempt()
  for (let n = 0; n < 8; n++) await failures.add(one)
  expect((await failures.locks(one)).account_network).toBeGreaterThan(890)
  await pool.query(`update login_failures set expires_at = now() - interval '1 second'`)
  expect((await failures.locks(one)).account_network).toBe(0)
  await failures.add(one)
  expect((await failures.locks(one)).account_network).toBe(0)
})

test('concurrent failures are all counted', async () => {
  await db.deleteFrom('login_failures').execute()
  const failures = createLoginFailures(db, 'a secret')
  const one = attempt()
  await Promise.all(Array.from({ length: 40 }, () => failures.add(one)))
  const rows = await db.selectFrom('login_failures').select('failures').execute()
  expect(rows.map((row) => row.failures)).toEqual([40, 40, 40])
})

test('an unknown account and a wrong password take the same statements and the same hashes', async () => {
  const email = 'known@example.com'
  await db
    .insertInto('users')
    .values({ email, role: 'viewer', password_hash: await hashPassword('a password') })
    .execute()
  const work = async (name: string) => {
    let hashes = 0
    const line = <T>(_: string, hash: () => Promise<T>) => {
      hashes += 1
      return hash()
    }
    asked = []
    const logins = { db, failures: createLoginFailures(db, 'a secret'), hashingQueue: line }
    await login(logins, { email: name, password: 'wrong', address: '192.0.2.1' }).catch(() => undefined)
    return { hashes, statements: asked.map(({ sql }) => sql) }
  }
  const known = await work(email)
  expect(known.hashes).toBe(1)
  expect(known.statements.length).toBeGreaterThan(3)
  expect(await work('unknown@example.com')).toEqual(known)
})
