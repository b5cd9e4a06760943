import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { until } from '@aduana/testkit/until'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ApiProcess, openApiProcess } from './testing/api-process.ts'
import { productionFile, rawForm } from './testing/multipart.ts'

let api: ApiProcess
beforeEach(async () => {
  api = await openApiProcess()
})
afterEach(() => api.close())

/** A connection and what came over it. */
interface Talk {
  socket: Socket
  heard(): string
  closed: Promise<unknown>
}

async function talk(text: string): Promise<Talk> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
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
    `Authorization: Bearer ${api.token}`,
    'Content-Type: multipart/form-data; boundary=b',
    `Content-Length: ${BODY.length}`,
  ]
  const upload = await talk(`${headers.join('\r\n')}\r\n\r\n${BODY.slice(0, HEAD)}`)
  const incoming = () => readdir(join(api.folder, 'artifacts', 'incoming')).catch(() => [])
  await until(async () => (await incoming()).length === 1, { what: 'the upload has begun' })
  return upload
}

describe('while it stops,', () => {
  test('the API closes idle connections at once, and finishes requests in progress', async () => {
    const upload = await beginUpload()
    const idle = await Promise.all([
      talk(''),
      talk('GET /health HTTP/1.1\r\nHost: loc'),
      talk('GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    ])
    await until(() => idle[2]?.heard().includes('200 OK') === true, { what: 'the third is kept alive' })
    api.process.signal('SIGTERM')
    await Promise.all(idle.map(({ closed }) => closed))
    expect(api.process.alive()).toBe(true)
    upload.socket.write(BODY.slice(HEAD))
    await upload.closed
    expect(upload.heard()).toMatch(/^HTTP\/1.1 202 /)
    expect(await api.process.exited).toEqual({ code: 0, signal: null })
    expect(api.process.lines.join('\n')).not.toContain('lifecycle.release_failed')
  })

  test('the API refuses an upload that does not end with advice to retry, and keeps nothing of it', async () => {
    const upload = await beginUpload()
    api.process.signal('SIGTERM')
    await upload.closed
    expect(upload.heard()).toMatch(/^HTTP\/1.1 503 /)
    expect(upload.heard()).toContain('application/problem+json')
    expect(upload.heard()).toMatch(/retry-after: \d/i)
    expect(upload.heard()).toContain('"code":"unavailable"')
    expect(await api.process.exited).toEqual({ code: 0, signal: null })
    expect(await readdir(join(api.folder, 'artifacts', 'incoming'))).toEqual([])
    expect(api.process.lines.join('\n')).not.toContain('lifecycle.release_failed')
  })

  test('the API does not wait for a request that PostgreSQL blocks', async () => {
    const blocker = await api.database.pool.connect()
    await blocker.query('begin; lock table jobs in access exclusive mode')
    const kept = await talk(
      `GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api.token}\r\n\r\n`,
    )
    const waiting = () =>
      api.database.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
    await until(async () => (await waiting()).rowCount === 1, { what: 'the request waits' })
    api.process.signal('SIGTERM')
    await kept.closed
    expect(await api.process.exited).toEqual({ code: 0, signal: null })
    // PostgreSQL has not given up by itself: it is the API that has not waited for it.
    expect(api.process.lines.join('\n')).not.toContain('57014')
    await blocker.query('rollback')
    blocker.release()
  })
})
