import { randomUUID } from 'node:crypto'
import { page } from '@aduana/contracts/jobs'
import { RefusedMessage } from '@aduana/contracts/messages'
import { Problem } from '@aduana/contracts/problems'
import { consumeMessages } from '@aduana/metrics/inbox/consume'
import { createLogger } from '@aduana/runtime/logger'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limitTo } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
const queue = 'https://sqs.test/events'
let api: TestApi
let admin: TestUser
beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
})
afterAll(() => api.close())

const take = (...texts: string[]) =>
  consumeMessages(
    { db: api.db, logger, queue },
    texts.map((text) => ({ id: randomUUID(), text, receives: 1 })),
  )
const list = async (query = '') =>
  page(RefusedMessage).parse(await (await admin.ask(`/api/refused-messages?${query}`)).json())

test('refused messages are listed newest first, unchanged, page by page', async () => {
  expect(await list()).toEqual({ items: [], next: null })
  for (const number of [1, 2, 3, 4, 5]) await take(`message ${number}`)
  const [newest] = (await list('limit=1')).items
  expect(newest).toEqual({
    queue,
    messageId: expect.any(String),
    code: 'not_json',
    detail: 'The message is not JSON. Send a CloudEvent in structured JSON mode.',
    body: 'message 5',
    at: expect.any(String),
  })
  const bodies: string[] = []
  let cursor = ''
  do {
    const { items, next } = await list(`limit=2${cursor && `&cursor=${cursor}`}`)
    bodies.push(...items.map(({ body }) => body))
    cursor = next ?? ''
  } while (cursor !== '')
  expect(bodies).toEqual([5, 4, 3, 2, 1].map((number) => `message ${number}`))
  for (const wrong of ['limit=0', 'cursor=nonsense', 'code=not_json'])
    expect((await admin.ask(`/api/refused-messages?${wrong}`)).status).toBe(400)
})

test('refused messages are shown only to admins of all companies and warehouses', async () => {
  for (const role of ['viewer', 'operator', 'steward'] as const)
    expect((await (await api.addUser(role)).ask('/api/refused-messages')).status).toBe(403)
  const limited = await api.addUser('admin')
  await limitTo(api, limited, ['A'])
  const answer = await limited.ask('/api/refused-messages')
  expect(Problem.parse(await answer.json())).toMatchObject({ status: 403, code: 'forbidden' })
  expect((await fetch(`${api.url}/api/refused-messages`)).status).toBe(401)
})

test('refused messages and the events of the outbox are counted for Prometheus', async () => {
  await api.db
    .insertInto('event_log')
    .values({
      event_key: 'waits',
      type: 'test',
      body: '{}',
      outbound: true,
      occurred_at: new Date(Date.now() - 90_000),
    })
    .execute()
  const text = await (await fetch(`${api.url}/metrics`)).text()
  const gauge = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  const { items } = await list('limit=500')
  expect(gauge('aduana_messages_refused')).toBe(items.length)
  expect(gauge('aduana_outbox_waiting')).toBe(1)
  expect(gauge('aduana_outbox_oldest_seconds')).toBeGreaterThan(89)
})
