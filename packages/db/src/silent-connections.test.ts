import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { startProxy } from '@aduana/testkit/proxy'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeSilentConnections } from './silent-connections.ts'
import { isTransient } from './sql-errors.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

/** A pool that asks soon after a connection that is silent. */
function watchedPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'watched' })
  pool.on('error', () => undefined)
  closeSilentConnections(pool, { url, applicationName: 'watched', logger, askAfter: 200 })
  return pool
}

describe.concurrent('an idle connection', () => {
  test('is not closed while its statement takes long or waits for a lock, or its transaction is idle', async () => {
    const pool = watchedPool(database.url)
    await pool.query('create table resting (id int)')
    const [resting, waiting] = [await pool.connect(), await pool.connect()]
    await resting.query('begin; lock table resting')
    const blocked = waiting.query('select from resting')
    const slow = await pool.query('select 1 as one from pg_sleep(9)')
    expect(slow.rows).toEqual([{ one: 1 }])
    await resting.query('commit')
    await blocked
    for (const client of [resting, waiting]) client.release()
    await pool.end()
  })

  test('is closed with its locks when the network has dropped it', async () => {
    const { hostname, port } = new URL(database.url)
    const proxy = await startProxy({ host: hostname, port: Number(port) })
    const pool = watchedPool(proxy.urlOf(database.url))
    const [client, atRest] = [await pool.connect(), await pool.connect()]
    client.on('error', () => undefined)
    atRest.release()
    await client.query('begin; create table locked (id int)')
    proxy.pause('existing')
    const error: unknown = await client.query('select 1').catch((caught: unknown) => caught)
    expect(isTransient(error)).toBe(true)
    client.release(true)
    expect(pool.totalCount).toBe(0)
    const left = await database.pool.query(`select from pg_stat_activity where application_name = 'watched'
      and state = 'idle in transaction' and pid <> pg_backend_pid() and query like '%create table locked%'`)
    expect(left.rowCount).toBe(0)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await pool.end()
    await proxy.close()
  })
})
