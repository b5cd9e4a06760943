import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { untilWaiting } from '@aduana/testkit/waiting'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  holdersOf,
  isHolder,
  LOCK_TEXTS,
  LOCKS,
  NUMBERED_LOCKS,
  shareLock,
  takeLock,
  tryLock,
} from './advisory-locks.ts'
import { inTransaction } from './database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const keyOf = (subject: string) => LOCKS.workOnJob(subject)

test('every lock has a unique key', async () => {
  const keys = Object.values(LOCKS).map((lock) => (typeof lock === 'function' ? lock('x') : lock))
  const texts = [LOCK_TEXTS.partitions('x'), LOCK_TEXTS.workerSession(`'x'`)]
  const all = [...keys, ...texts.map((text) => sql.raw(text)), ...Object.values(NUMBERED_LOCKS)]
  const found = await sql<{
    key: string
  }>`select unnest(array[${sql.join(all)}]::bigint[])::text as key`.execute(database.db)
  expect(new Set(found.rows.map(({ key }) => key)).size).toBe(all.length)
})

test('the key of a lock does not change: programs of two versions use it during an upgrade', async () => {
  const found = await sql`select hashtextextended('dispatch', 0) = ${LOCKS.dispatch} as named,
    hashtextextended('window 7', 0) = ${LOCKS.windows('7')} as of,
    hashtextextended('worker session 7', 0) = ${sql.raw(LOCK_TEXTS.workerSession(`'7'`))} as session,
    hashtextextended('partitions of "a"."b''c"', 0) = ${sql.raw(LOCK_TEXTS.partitions(`"a"."b'c"`))} as target`.execute(
    database.db,
  )
  expect(found.rows).toEqual([{ named: true, of: true, session: true, target: true }])
})

test('a lock is held alone or shared until the transaction ends, and its holders are known', async () => {
  const key = keyOf('a')
  await inTransaction(database.db, async (tx) => {
    await takeLock(tx, key)
    expect(await inTransaction(database.db, (other) => tryLock(other, key))).toBe(false)
    expect(await inTransaction(database.db, (other) => tryLock(other, keyOf('b')))).toBe(true)
    const own = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
    expect((await holdersOf(key).execute(database.db)).rows).toEqual(own.rows)
    // A backend does not count itself.
    expect((await holdersOf(key).execute(tx)).rows).toEqual([])
  })
  expect((await holdersOf(key).execute(database.db)).rows).toEqual([])
  await inTransaction(database.db, async (tx) => {
    await shareLock(tx, key)
    await inTransaction(database.db, (other) => shareLock(other, key))
    expect(await inTransaction(database.db, (other) => tryLock(other, key))).toBe(false)
  })
})

test('taking a lock waits for the transaction that holds it', async () => {
  const order: string[] = []
  let second: Promise<void> = Promise.resolve()
  await inTransaction(database.db, async (tx) => {
    await takeLock(tx, NUMBERED_LOCKS.firstAdmin)
    second = inTransaction(database.db, async (other) => {
      await takeLock(other, NUMBERED_LOCKS.firstAdmin)
      order.push('second')
    })
    await untilWaiting(database.pool, 1)
    order.push('first')
  })
  await second
  expect(order).toEqual(['first', 'second'])
})

test('a session that holds a lock is recognized', async () => {
  const client = await database.pool.connect()
  try {
    const key = LOCK_TEXTS.workerSession('$1::text')
    const holds = async (session: string) =>
      (await client.query(`select ${isHolder('pg_backend_pid()', key)} as held`, [session])).rows[0]?.held
    await client.query(`select pg_advisory_lock(${key})`, ['one'])
    expect([await holds('one'), await holds('other')]).toEqual([true, false])
    await client.query(`select pg_advisory_unlock(${key})`, ['one'])
    expect(await holds('one')).toBe(false)
  } finally {
    client.release()
  }
})
