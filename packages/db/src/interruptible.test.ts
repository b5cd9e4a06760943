import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { until } from '@aduana/testkit/until'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { interruptible } from './interruptible.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const warnings: object[] = []
const logger = { warn: (entry: object) => void warnings.push(entry) }
const SLEEP = 'select pg_sleep(600)'

/** Runs work on a connection that is then checked to be usable. */
async function onConnection(work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await database.pool.connect()
  try {
    await work(client)
    const { rows } = await client.query('select pg_sleep(0.01), 1 as one')
    expect(rows[0]?.one).toBe(1)
  } finally {
    client.release()
  }
}

const untilSleeping = () =>
  until(
    async () => {
      const found = await database.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
      )
      return found.rowCount === 1
    },
    { what: 'the statement runs' },
  )

test('work that is not interrupted returns its result', () =>
  onConnection(async (client) => {
    const { signal } = new AbortController()
    const options = { pool: database.pool, signal, logger }
    const result = await interruptible(
      client,
      options,
      async () => (await client.query('select 7 as n')).rows,
    )
    expect(result).toEqual([{ n: 7 }])
  }))

test('an abort cancels the current statement, and none after the work', () =>
  onConnection(async (client) => {
    const stop = new AbortController()
    const options = { pool: database.pool, signal: stop.signal, logger }
    const work = interruptible(client, options, () => client.query(SLEEP))
    await untilSleeping()
    stop.abort()
    await expect(work).rejects.toMatchObject({ code: '57014' })
  }))

test('an abort between two statements cancels the next one', () =>
  onConnection(async (client) => {
    const stop = new AbortController()
    const options = { pool: database.pool, signal: stop.signal, logger }
    const work = interruptible(client, options, async () => {
      stop.abort()
      return client.query(SLEEP)
    })
    await expect(work).rejects.toMatchObject({ code: '57014' })
  }))

test('work that begins after the abort is cancelled', () =>
  onConnection(async (client) => {
    const options = { pool: database.pool, signal: AbortSignal.abort(), logger }
    const work = interruptible(client, options, () => client.query(SLEEP))
    await expect(work).rejects.toMatchObject({ code: '57014' })
  }))

test('a cancel request that fails is logged and repeated', () =>
  onConnection(async (client) => {
    const stop = new AbortController()
    let failures = 0
    const query = (text: string, values: unknown[]) => {
      if (failures > 0) return database.pool.query(text, values)
      failures += 1
      return Promise.reject(new Error('no connection'))
    }
    const pool = new Proxy(database.pool, {
      get: (target, property) => (property === 'query' ? query : Reflect.get(target, property, target)),
    })
    const work = interruptible(client, { pool, signal: stop.signal, logger }, () => client.query(SLEEP))
    await untilSleeping()
    stop.abort()
    await expect(work).rejects.toMatchObject({ code: '57014' })
    expect(warnings).toEqual([{ event: 'db.cancel_failed', err: new Error('no connection') }])
  }))
