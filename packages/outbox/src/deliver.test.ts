import { inTransaction } from '@aduana/db/database'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deliver } from './deliver.ts'
import type { Destination, OutboundEvent } from './destination.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
let database: TestDatabase
beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(() => database.drop())

/** A destination that stores its events, and refuses those of `refuse`. */
function destination(
  name: string,
  refuse: (event: OutboundEvent) => string | undefined = () => undefined,
  type = '',
) {
  const got: string[] = []
  const self: Destination = {
    name,
    wants: (event) => event.type.startsWith(type),
    send: async (events) => {
      const refused = new Map<string, Error>()
      for (const event of events) {
        const why = refuse(event)
        if (why === 'all') throw new Error('nobody is there')
        if (why !== undefined) refused.set(event.id, new Error(why))
        else got.push(event.key)
      }
      return refused
    },
  }
  return { ...self, got }
}

const body = (key: string) => ({ specversion: '1.0', id: key, source: '/test', type: 'test', data: { key } })
const add = (key: string, type = 'test', what: unknown = body(key)) =>
  database.pool.query('insert into event_log (event_key, type, body, outbound) values ($1, $2, $3, true)', [
    key,
    type,
    what,
  ])
const run = (...destinations: Destination[]) => deliver({ db: database.db, destinations, logger })
const hurried = (destination: Destination) =>
  deliver({ db: database.db, destinations: [destination], logger, timeoutMs: 1000 })
const row = async (key: string) =>
  (
    await database.pool.query(
      `select sent_at is not null as sent, send_attempts, send_error,
        extract(epoch from send_after - clock_timestamp())::float as pause from event_log where event_key = $1`,
      [key],
    )
  ).rows[0]
const dueAgain = () => database.pool.query('update event_log set send_after = now() where sent_at is null')

test('events are delivered once, in the order of the log, to the destinations that accept their type', async () => {
  const [all, some] = [destination('all'), destination('some', undefined, 'b')]
  await add('1', 'a')
  await add('2', 'b')
  await database.pool.query(`insert into event_log (event_key, type, body) values ('internal', 'a', '{}')`)
  expect(await run(all, some)).toEqual({ sent: 2, failed: 0 })
  expect(await run(all, some)).toEqual({ sent: 0, failed: 0 })
  expect(all.got).toEqual(['1', '2'])
  expect(some.got).toEqual(['2'])
  expect(await row('1')).toMatchObject({ sent: true, send_attempts: 1, send_error: null })
})

test('an event that commits after a later one is delivered, too', async () => {
  const all = destination('all')
  const client = await database.pool.connect()
  await client.query('begin')
  await client.query(
    `insert into event_log (event_key, type, body, outbound) values ('early', 'test', $1, true)`,
    [body('early')],
  )
  await add('late')
  await run(all)
  await client.query('commit')
  client.release()
  await run(all)
  expect(all.got).toEqual(['late', 'early'])
})

test('an event that one destination refuses is sent to all again, after increasing pauses', async () => {
  let refused = true
  const good = destination('good')
  const bad = destination('bad', ({ key }) => (refused && key === '1' ? 'not today' : undefined))
  await add('1')
  await add('2')
  expect(await run(good, bad)).toEqual({ sent: 1, failed: 1 })
  expect(await run(good, bad)).toEqual({ sent: 0, failed: 0 })
  const first = await row('1')
  expect(first).toMatchObject({ sent: false, send_attempts: 1, send_error: 'bad: not today' })
  expect(first.pause).toBeLessThanOrEqual(1.25)
  await dueAgain()
  await run(good, bad)
  expect((await row('1')).pause).toBeLessThanOrEqual(2.5)
  for (let tried = 0; tried < 12; tried += 1) {
    await dueAgain()
    await run(good, bad)
  }
  expect((await row('1')).pause).toBeGreaterThan(30)
  expect((await row('1')).pause).toBeLessThanOrEqual(75)
  refused = false
  await dueAgain()
  expect(await run(good, bad)).toEqual({ sent: 1, failed: 0 })
  expect(bad.got).toEqual(['2', '1'])
  expect(good.got.filter((key) => key === '2')).toHaveLength(1)
  expect(await row('1')).toMatchObject({ sent: true, send_attempts: 15, send_error: null, pause: null })
})

test('an unavailable destination or an unreadable event does not delay other events', async () => {
  const away = destination('away', () => 'all', 'b')
  const good = destination('good')
  await add('broken', 'a', { specversion: '0' })
  await add('1', 'b')
  await add('2', 'a')
  expect(await run(away, good)).toEqual({ sent: 1, failed: 2 })
  expect(good.got).toEqual(['1', '2'])
  expect(await row('1')).toMatchObject({ sent: false, send_error: 'away: nobody is there' })
  expect(await row('broken')).toMatchObject({
    sent: false,
    send_error: expect.stringContaining('not a CloudEvent'),
  })
})

test('several processes deliver concurrently, each different events', async () => {
  for (let number = 0; number < 60; number += 1) await add(`event ${number}`)
  const destinations = Array.from({ length: 4 }, (_, at) => destination(`process ${at}`))
  while ((await database.pool.query('select from event_log where sent_at is null')).rowCount !== 0)
    await Promise.all(
      destinations.map((one) => deliver({ db: database.db, destinations: [one], logger, limit: 10 })),
    )
  const got = destinations.flatMap((one) => one.got)
  expect(got).toHaveLength(60)
  expect(new Set(got).size).toBe(60)
})

test('a process that hangs during delivery delays only its own events', async () => {
  await add('stuck')
  let release: () => void = () => undefined
  let stuck: Promise<unknown> = Promise.resolve()
  const sending = new Promise<void>((taken) => {
    const hanging: Destination = {
      name: 'hanging',
      wants: () => true,
      send: () =>
        new Promise((resolve) => {
          release = () => resolve(new Map())
          taken()
        }),
    }
    stuck = deliver({ db: database.db, destinations: [hanging], logger, limit: 1, timeoutMs: 30_000 })
  })
  await sending
  await add('free')
  const other = destination('other')
  expect(await run(other)).toEqual({ sent: 1, failed: 0 })
  expect(other.got).toEqual(['free'])
  release()
  expect(await stuck).toEqual({ sent: 1, failed: 0 })
})

test('an event that is rolled back is never delivered', async () => {
  const all = destination('all')
  const failing = inTransaction(database.db, async (tx) => {
    await tx
      .insertInto('event_log')
      .values({ event_key: 'gone', type: 'test', body: JSON.stringify(body('gone')), outbound: true })
      .execute()
    throw new Error('rolled back')
  })
  await expect(failing).rejects.toThrow('rolled back')
  await run(all)
  expect(all.got).toEqual([])
})

test('an event that a destination accepts just before its time-out counts as accepted', async () => {
  const slow: Destination = {
    name: 'slow',
    wants: () => true,
    send: (events, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () =>
          resolve(new Map(events.slice(1).map(({ id }) => [id, new Error('too late')]))),
        )
      }),
  }
  await add('1')
  await add('2')
  expect(await hurried(slow)).toEqual({ sent: 1, failed: 1 })
  expect(await row('2')).toMatchObject({ sent: false, send_error: 'slow: too late' })
})

test('a destination that never responds delays the events for a limited time', {
  timeout: 60_000,
}, async () => {
  const silent: Destination = { name: 'silent', wants: () => true, send: () => new Promise(() => undefined) }
  await add('1')
  expect(await hurried(silent)).toEqual({ sent: 0, failed: 1 })
  expect(await row('1')).toMatchObject({ sent: false, send_error: 'silent: no response within 1000 ms' })
})
