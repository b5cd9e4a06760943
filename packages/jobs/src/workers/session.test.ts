import { randomUUID } from 'node:crypto'
import { createLogger } from '@aduana/runtime/logger'
import { startPooler } from '@aduana/testkit/pooler'
import { startProxy } from '@aduana/testkit/proxy'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { lockSession, registerSession } from './ended-sessions.ts'
import { backendPid, openWorkerSession, type WorkerSession } from './session.ts'
import { recordWorkerHeartbeat } from './worker-registry.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let database: JobsDatabase
const open: { close(): Promise<void> }[] = []
const ended: string[] = []
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  ended.length = 0
  await database.pool.query('delete from workers')
})
afterEach(async () => {
  for (const { close } of open.splice(0).reverse()) await close()
})

/** Opens a worker session in this process that records which workers it is to take over. */
async function worker(id: string, databaseUrl = database.url): Promise<WorkerSession> {
  const session = await openWorkerSession({
    db: database.db,
    databaseUrl,
    worker: id,
    logger,
    onEnded: async (other) => void ended.push(other),
    judgeAfter: 500,
  })
  open.push(session)
  return session
}

/** Lets a worker die: to PostgreSQL a closed connection is an ended process. */
async function doomed(id: string): Promise<{ die(): void }> {
  const client = new pg.Client({ connectionString: database.url })
  client.on('error', () => undefined)
  await client.connect()
  const session = randomUUID()
  await lockSession(client, session, backendPid(client))
  await registerSession(client, { worker: id, session })
  return { die: () => void client.connection.stream.destroy() }
}

/** Waits until the death of another worker has been noticed: by then all workers have been checked twice. */
async function untilLookedAtTwice(canary = 'canary'): Promise<void> {
  const { die } = await doomed(canary)
  die()
  await until(() => ended.includes(canary), { what: 'the death of a worker is noticed' })
}

async function row(id: string) {
  const { rows } = await database.pool.query<{ session: string | null; ended_at: Date | null }>(
    'select session, ended_at from workers where id = $1',
    [id],
  )
  return rows[0]
}

/** Terminates the backends of the sessions that `openWorkerSession` has opened. */
const terminateSessions = () =>
  database.pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'aduana worker session'`)

describe('the session of a worker', () => {
  test('that ends with its process is noticed by one other worker', async () => {
    await worker('w1')
    await worker('w2')
    const { die } = await doomed('w3')
    await untilLookedAtTwice()
    expect(ended).toEqual(['canary'])
    die()
    await until(() => ended.includes('w3'), { what: 'the death is noticed' })
    expect(await row('w3')).toMatchObject({ session: null, ended_at: expect.any(Date) })
    await untilLookedAtTwice('another canary')
    expect(ended).toEqual(['canary', 'w3', 'another canary'])
  })

  test('that is closed leaves no row in the registry and no work to take over', async () => {
    await worker('w1')
    const leaving = await worker('w2')
    await leaving.close()
    expect(await row('w2')).toBeUndefined()
    await untilLookedAtTwice()
    expect(ended).toEqual(['canary'])
  })

  test('that is terminated while the worker lives is opened again, and its work is not taken over', async () => {
    await worker('w1')
    await worker('w2')
    await untilLookedAtTwice()
    const before = [await row('w1'), await row('w2')].map((one) => one?.session)
    await terminateSessions()
    await until(
      async () => {
        const now = [await row('w1'), await row('w2')].map((one) => one?.session)
        return now.every((session, index) => session != null && session !== before[index])
      },
      { what: 'both have a new session' },
    )
    await untilLookedAtTwice('another canary')
    expect(ended).toEqual(['canary', 'another canary'])
  })

  test('that cannot be opened again is withdrawn, and the work is not taken over', async () => {
    const { hostname, port } = new URL(database.url)
    const proxy = await startProxy({ host: hostname, port: Number(port) })
    open.push(proxy)
    await worker('w1')
    await worker('w2', proxy.urlOf(database.url))
    proxy.refuse()
    await until(async () => (await row('w2'))?.session === null, { what: 'the session is withdrawn' })
    await untilLookedAtTwice()
    expect(ended).toEqual(['canary'])
    proxy.resume()
    await until(async () => (await row('w2'))?.session != null, { what: 'there is a session again' })
  })

  test.each([
    ['one of its stage attempts', (id: string) => recordAttemptHeartbeat(id)],
    ['the worker', (id: string) => recordWorkerHeartbeat(database.db, id, ['load'])],
  ])('that has ended is no death while %s has heartbeats', async (_, beat) => {
    const jobId = await database.addJob({ status: 'PROCESSING', attempt: 1, admitted_at: new Date() })
    await database.pool.query(
      `insert into stage_results (job_id, stage, attempt, try, state, worker) values ($1, 'parse', 1, 1, 'running', 'w2')`,
      [jobId],
    )
    await worker('w1')
    const { die } = await doomed('w2')
    die()
    const timer = setInterval(() => void beat('w2'), 50)
    try {
      await untilLookedAtTwice()
      expect(ended).toEqual(['canary'])
    } finally {
      clearInterval(timer)
    }
    await until(() => ended.includes('w2'), { what: 'the death is noticed' })
  })

  const recordAttemptHeartbeat = (id: string) =>
    database.pool.query('update stage_results set heartbeat_at = clock_timestamp() where worker = $1', [id])
})

/** A client of a pooler in a transaction, and the backend that serves it. */
async function inPooledTransaction(url: string): Promise<{ client: pg.Client; pid: number | undefined }> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('begin')
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { client, pid: rows[0]?.pid }
}

describe('through a pooler', () => {
  test('a worker has no session, and its death is noticed by missing heartbeats only', async () => {
    const pooler = await startPooler({ url: database.url, size: 2 })
    open.push(pooler)
    await worker('w1', pooler.url)
    await recordWorkerHeartbeat(database.db, 'w1', ['load'])
    expect(await row('w1')).toEqual({ session: null, ended_at: null })
  })

  test('that sends real process ids a session is abandoned once another backend responds', async () => {
    const pooler = await startPooler({ url: database.url, size: 2, sendsRealId: true })
    open.push(pooler)
    await worker('w1', pooler.url)
    expect((await row('w1'))?.session).toEqual(expect.any(String))
    const found = await database.pool.query<{ pid: number }>(
      `select distinct pid from pg_locks where locktype = 'advisory' and granted
         and database = (select oid from pg_database where datname = current_database())`,
    )
    const [first, second] = [await inPooledTransaction(pooler.url), await inPooledTransaction(pooler.url)]
    // The client that has the backend of the session keeps it.
    await (first.pid === found.rows[0]?.pid ? second : first).client.query('commit')
    await until(async () => (await row('w1'))?.session === null, { what: 'the session is given up' })
  })
})
