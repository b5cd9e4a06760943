import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inTransactionOnConnection } from './single-connection.ts'
import { isTransient } from './sql-errors.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.pool.query('create table seen (n integer)')
})
afterAll(() => database.drop())

const count = async () => (await database.pool.query('select from seen')).rowCount

test('the transaction uses the given connection', async () => {
  const same = await inTransactionOnConnection(database.pool, async (tx, client) => {
    await sql`insert into seen values (1)`.execute(tx)
    const mine = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
    const raw = await client.query('select pg_backend_pid() as pid, (select count(*)::int from seen) as n')
    expect(raw.rows[0].n).toBe(1)
    return raw.rows[0].pid === mine.rows[0]?.pid
  })
  expect(same).toBe(true)
  expect(await count()).toBe(1)
})

test('an error rolls back, and the connection can be used again', async () => {
  const failing = inTransactionOnConnection(database.pool, async (tx) => {
    await sql`insert into seen values (2)`.execute(tx)
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await count()).toBe(1)
  expect(database.pool.idleCount).toBe(database.pool.totalCount)
})

test('a terminated connection rolls back, fails as transient, and is not used again', async () => {
  let pid = 0
  const error = await inTransactionOnConnection(database.pool, async (tx, client) => {
    await sql`insert into seen values (3)`.execute(tx)
    pid = (await client.query('select pg_backend_pid() as pid')).rows[0].pid
    await database.pool.query('select pg_terminate_backend($1)', [pid])
    await sql`insert into seen values (4)`.execute(tx)
  }).catch((caught: unknown) => caught)
  expect(isTransient(error)).toBe(true)
  expect(await count()).toBe(1)
  const backends = await Promise.all(
    Array.from({ length: 8 }, () => database.pool.query('select pg_backend_pid() as pid')),
  )
  expect(backends.map((backend) => backend.rows[0].pid)).not.toContain(pid)
})
