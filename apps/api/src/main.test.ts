import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { JobAccepted } from '@aduana/contracts/jobs'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type ApiProcess, openApiProcess } from './testing/api-process.ts'
import { importForm, productionFile, rawForm } from './testing/multipart.ts'

let api: ApiProcess
beforeAll(async () => {
  api = await openApiProcess()
})
afterAll(() => api.close())

test('without Redis imports are accepted, and Bull Board reports what is missing', async () => {
  const authorization = `Bearer ${api.token}`
  const accepted = await fetch(`${api.url}/api/imports`, {
    method: 'POST',
    headers: { authorization },
    body: importForm(productionFile()),
  })
  expect(accepted.status).toBe(202)
  const health = await fetch(`${api.url}/health/ready`)
  expect(health.status).toBe(200)
  expect(await health.json()).toMatchObject({ status: 'degraded' })
  const board = await fetch(`${api.url}/admin/queues/api/queues`, { headers: { authorization } })
  expect(board.status).toBe(503)
  expect(await board.json()).toMatchObject({ code: 'unavailable' })
})

test('the end of a waiting job that is cancelled is logged', async () => {
  const headers = { authorization: `Bearer ${api.token}` }
  const body = importForm(productionFile(), {
    dataset: 'production',
    startAt: '2099-01-01T00:00:00Z',
    force: 'true',
  })
  const accepted = await fetch(`${api.url}/api/imports`, { method: 'POST', headers, body })
  const { id } = JobAccepted.parse(await accepted.json())
  expect((await fetch(`${api.url}/api/jobs/${id}/cancel`, { method: 'POST', headers })).status).toBe(200)
  await api.process.untilLogged('job.cancelled', 60_000)
  expect(api.process.lines.find((line) => line.includes('"job.cancelled"'))).toContain(id)
})

test.each([
  ['without a ticket', '/ws'],
  ['at an address that does not exist', '/nowhere'],
  ['at an address that is too long to be one', `/api/jobs/${'a'.repeat(300)}`],
])('an upgrade that is refused %s leaves no open connection', async (_, path) => {
  const refused = connect(Number(new URL(api.url).port), '127.0.0.1')
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
  const lines = api.process.lines.filter((line) => line.startsWith('{'))
  expect(lines.length).toBeGreaterThan(0)
  for (const line of lines)
    for (const field of ['pid', 'name', 'hostname', 'level', 'time'])
      expect(line.split(`"${field}":`), line).toHaveLength(2)
})

test('an API that is stopped exits in time despite open connections, and leaves no partial upload', async () => {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${api.token}` },
  })
  await once(socket, 'open')
  const left = once(socket, 'close')
  const body = rawForm('b', productionFile(3000), false)
  const { port } = new URL(api.url)
  const upload = connect(Number(port), '127.0.0.1')
  upload.on('error', () => upload.destroy())
  upload.write(
    [
      'POST /api/imports HTTP/1.1',
      'Host: localhost',
      `Authorization: Bearer ${api.token}`,
      'Content-Type: multipart/form-data; boundary=b',
      `Content-Length: ${body.length + 1000}\r\n\r\n${body}`,
    ].join('\r\n'),
  )
  const incoming = () => readdir(join(api.folder, 'artifacts', 'incoming'))
  await until(async () => (await incoming()).length === 1, { what: 'the upload has begun' })
  api.process.signal('SIGTERM')
  const [code] = await left
  expect(code).toBe(1001)
  expect(await api.process.exited).toEqual({ code: 0, signal: null })
  expect(await incoming()).toEqual([])
  const logged = api.process.lines.join('\n')
  expect(logged).not.toContain(api.token)
  expect(logged).not.toContain('first password')
})
