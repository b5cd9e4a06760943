import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { listen } from './listen.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const notify = (channel: string, payload: string) =>
  database.pool.query('select pg_notify($1, $2)', [channel, payload])
const backend = async (channel: string) => {
  const found = await database.pool.query(
    `select pid from pg_stat_activity where application_name = $1 and query like 'listen%' and state = 'idle'`,
    [`aduana listen ${channel}`],
  )
  return found.rows[0]?.pid as number | undefined
}

test('messages of the channel are received, also after a lost connection, and no longer after closing', async () => {
  const heard: string[] = []
  const listener = listen({
    url: database.url,
    channel: 'news',
    logger,
    onMessage: (payload) => heard.push(payload),
  })
  try {
    const first = await until(() => backend('news'), { what: 'it listens' })
    await notify('news', 'one')
    await notify('gossip', 'two')
    await until(() => heard.length === 1, { what: 'the message is heard' })
    await database.pool.query('select pg_terminate_backend($1)', [first])
    await until(async () => ![undefined, first].includes(await backend('news')), { what: 'it listens again' })
    await notify('news', 'three')
    await until(() => heard.length === 2, { what: 'the message is heard' })
  } finally {
    await listener.close()
  }
  expect(heard).toEqual(['one', 'three'])
  await until(async () => (await backend('news')) === undefined, { what: 'the connection is closed' })
})
