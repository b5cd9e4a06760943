import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LoginResponse } from '@aduana/contracts/identity'
import { JobAccepted } from '@aduana/contracts/jobs'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { type ProductProcess, startProduct } from '@aduana/testkit/processes'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { importForm, productionFile, rawForm } from './testing/multipart.ts'

// Nothing listens there: everything below works without Redis.
const NO_REDIS = 'redis://127.0.0.1:1'

let database: TestDatabase
let folder: string
let api: ProductProcess
let url: string
let token: string

beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'aduana-api-'))
  api = startProduct('api', {
    DATABASE_URL: database.url,
    REDIS_URL: NO_REDIS,
    ADUANA_DATA_DIR: folder,
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
    ADUANA_ADMIN_EMAIL: 'first@example.com',
    ADUANA_ADMIN_PASSWORD: 'first password',
    PORT: '0',
  })
  await api.untilLogged('api.ready', 120_000)
  url = /"address":"(http:[^"]+)"/.exec(api.lines.join('\n'))?.[1] ?? ''
  const login = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'first@example.com', password: 'first password' }),
  })
  token = LoginResponse.parse(await login.json()).token
})
afterAll(async () => {
  await api.stop()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

test('without Redis imports are accepted, and Bull Board says what is missing', async () => {
  const authorization = `Bearer ${token}`
  const accepted = await fetch(`${url}/api/imports`, {
    method: 'POST',
    headers: { authorization },
    body: importForm(productionFile()),
  })
  expect(accepted.status).toBe(202)
  const health = await fetch(`${url}/health/ready`)
  expect(health.status).toBe(200)
  expect(await health.json()).toMatchObject({ status: 'degraded' })
  const board = await fetch(`${url}/admin/queues/api/queues`, { headers: { authorization } })
  expect(board.status).toBe(503)
  expect(await board.json()).toMatchObject({ code: 'unavailable' })
})

test('the end of a job that waits and is cancelled is in the log', async () => {
  const headers = { authorization: `Bearer ${token}` }
  const body = importForm(productionFile(), {
    dataset: 'production',
    startAt: '2099-01-01T00:00:00Z',
    force: 'true',
  })
  const accepted = await fetch(`${url}/api/imports`, { method: 'POST', headers, body })
  const { id } = JobAccepted.parse(await accepted.json())
  expect((await fetch(`${url}/api/jobs/${id}/cancel`, { method: 'POST', headers })).status).toBe(200)
  await api.untilLogged('job.cancelled', 60_000)
  expect(api.lines.find((line) => line.includes('"job.cancelled"'))).toContain(id)
})

test.each([
  ['without a ticket', '/ws'],
  ['at an address that does not exist', '/nowhere'],
  ['at an address that is too long to be one', `/api/jobs/${'a'.repeat(300)}`],
])('an upgrade that is refused %s leaves no connection', async (_, path) => {
  const refused = connect(Number(new URL(url).port), '127.0.0.1')
  const closed = once(refused, 'close')
  let heard = ''
  refused.on('data', (chunk) => {
    heard += chunk.toString('latin1')
  })
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  refused.write(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`,
  )
  await closed
  expect(heard).toMatch(/^HTTP\/1.1 40[14] /)
})

test('every line of the log names the process once', async () => {
  const lines = api.lines.filter((line) => line.startsWith('{'))
  expect(lines.length).toBeGreaterThan(0)
  for (const line of lines)
    for (const field of ['pid', 'name', 'hostname', 'level', 'time'])
      expect(line.split(`"${field}":`), line).toHaveLength(2)
})

test('asked to stop, it ends in time, whoever is still connected, and leaves no half of an upload', async () => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${token}` },
  })
  await once(socket, 'open')
  const left = once(socket, 'close')
  const body = rawForm('b', productionFile(3000), false)
  const { port } = new URL(url)
  const upload = connect(Number(port), '127.0.0.1')
  upload.on('error', () => upload.destroy())
  upload.write(
    [
      'POST /api/imports HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${token}`,
      'Content-Type: multipart/form-data; boundary=b',
      `Content-Length: ${body.length + 1000}\r\n\r\n${body}`,
    ].join('\r\n'),
  )
  const incoming = () => readdir(join(folder, 'artifacts', 'incoming'))
  await until(async () => (await incoming()).length === 1, { what: 'the upload has begun' })
  api.signal('SIGTERM')
  const [code] = await left
  expect(code).toBe(1001)
  expect(await api.exited).toEqual({ code: 0, signal: null })
  expect(await incoming()).toEqual([])
  const logged = api.lines.join('\n')
  expect(logged).not.toContain(token)
  expect(logged).not.toContain('first password')
})
