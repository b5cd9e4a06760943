import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LoginResponse } from '@aduana/contracts/identity'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { type ProductProcess, startProduct } from '@aduana/testkit/processes'
import { until } from '@aduana/testkit/until'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { productionFile, rawForm } from './testing/multipart.ts'

let database: TestDatabase
let folder: string
let api: ProductProcess
let port: number
let token: string

beforeEach(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'aduana-api-'))
  api = startProduct('api', {
    DATABASE_URL: database.url,
    // Nothing listens there, and nothing of this needs it.
    REDIS_URL: 'redis://127.0.0.1:1',
    ADUANA_DATA_DIR: folder,
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
    ADUANA_ADMIN_EMAIL: 'first@example.com',
    ADUANA_ADMIN_PASSWORD: 'first password',
    PORT: '0',
  })
  await api.untilLogged('api.ready', 120_000)
  const url = /"address":"(http:[^"]+)"/.exec(api.lines.join('\n'))?.[1] ?? ''
  port = Number(new URL(url).port)
  const login = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'first@example.com', password: 'first password' }),
  })
  token = LoginResponse.parse(await login.json()).token
})
afterEach(async () => {
  await api.stop()
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

/** A connection and what came over it. */
interface Talk {
  socket: Socket
  heard(): string
  closed: Promise<unknown>
}

async function talk(text: string): Promise<Talk> {
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1')
  })
  // A connection that is cut may end with an error; that it ends is what counts.
  socket.on('error', () => socket.destroy())
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  socket.write(text)
  return { socket, heard: () => heard, closed }
}

const BODY = rawForm('b', productionFile(3000), true)
// More than the API reads before it begins to store.
const HEAD = 90_000

/** An upload of which only the beginning has been sent. */
async function beginUpload(): Promise<Talk> {
  const headers = [
    'POST /api/imports HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${token}`,
    'Content-Type: multipart/form-data; boundary=b',
    `Content-Length: ${BODY.length}`,
  ]
  const upload = await talk(`${headers.join('\r\n')}\r\n\r\n${BODY.slice(0, HEAD)}`)
  const incoming = () => readdir(join(folder, 'artifacts', 'incoming')).catch(() => [])
  await until(async () => (await incoming()).length === 1, { what: 'the upload has begun' })
  return upload
}

describe('asked to stop', () => {
  test('the API closes what only keeps a connection at once, and finishes what is under way', async () => {
    const upload = await beginUpload()
    const idle = await Promise.all([
      talk(''),
      talk('GET /health HTTP/1.1\r\nHost: loc'),
      talk('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    ])
    await until(() => idle[2]?.heard().includes('200 OK') === true, { what: 'the third is kept alive' })
    api.signal('SIGTERM')
    await Promise.all(idle.map(({ closed }) => closed))
    expect(api.alive()).toBe(true)
    upload.socket.write(BODY.slice(HEAD))
    await upload.closed
    expect(upload.heard()).toMatch(/^HTTP\/1.1 202 /)
    expect(await api.exited).toEqual({ code: 0, signal: null })
    expect(api.lines.join('\n')).not.toContain('lifecycle.release_failed')
  })

  test('the API tells an upload that does not end to come again, and keeps nothing of it', async () => {
    const upload = await beginUpload()
    api.signal('SIGTERM')
    await upload.closed
    expect(upload.heard()).toMatch(/^HTTP\/1.1 503 /)
    expect(upload.heard()).toContain('application/problem+json')
    expect(upload.heard()).toMatch(/retry-after: \d/i)
    expect(upload.heard()).toContain('"code":"unavailable"')
    expect(await api.exited).toEqual({ code: 0, signal: null })
    expect(await readdir(join(folder, 'artifacts', 'incoming'))).toEqual([])
    expect(api.lines.join('\n')).not.toContain('lifecycle.release_failed')
  })

  test('the API waits for no request that PostgreSQL keeps', async () => {
    const blocker = await database.pool.connect()
    await blocker.query('begin; lock table jobs in access exclusive mode')
    const kept = await talk(
      `GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
    const waiting = () =>
      database.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
    await until(async () => (await waiting()).rowCount === 1, { what: 'the request waits' })
    api.signal('SIGTERM')
    await kept.closed
    expect(await api.exited).toEqual({ code: 0, signal: null })
    // PostgreSQL has not given up by itself: it is the API that has not waited for it.
    expect(api.lines.join('\n')).not.toContain('57014')
    await blocker.query('rollback')
    blocker.release()
  })
})
