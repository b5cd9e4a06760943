import { once } from 'node:events'
import { connect } from 'node:net'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { buildApp } from '../app.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let admin: TestUser
let viewer: TestUser

beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
  viewer = await api.addUser('viewer')
})
afterAll(() => api.close())

interface Answer {
  status: number
  headers: Map<string, string>
  body: string
}

/** Sends these bytes on a connection of their own and returns the first answer, once the server has closed it. */
async function send(bytes: string, url = api.url): Promise<Answer> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write(bytes)
  await once(socket, 'close')
  const [head = '', ...body] = Buffer.concat(chunks).toString().split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  return { status: Number(first.split(' ')[1]), headers: new Map(headers), body: body.join('\r\n\r\n') }
}

/** The problem of an answer, whose id must be that of its header. */
function problemOf({ status, headers, body }: Answer): Problem {
  expect(headers.get('content-type')).toContain('application/problem+json')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  const problem = Problem.parse(JSON.parse(body))
  expect(problem.status).toBe(status)
  expect(headers.get('x-request-id')).toMatch(/^[\w-]{5,}$/)
  expect(problem.instance).toBe(headers.get('x-request-id'))
  return problem
}

const close = 'Host: localhost\r\nConnection: close\r\n'
const upgrade = (key: string, version = '13') =>
  [
    'GET /ws HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Version: ${version}`,
    `Sec-WebSocket-Key: ${key}`,
    `Authorization: Bearer ${viewer.token}\r\n\r\n`,
  ].join('\r\n')

describe('the response is a problem document with the id of the request for', () => {
  test.each([
    ['what is no HTTP', 400, 'bad_request', () => 'hello\r\n\r\n'],
    [
      'a header that is not well formed',
      400,
      'bad_request',
      () => `GET / HTTP/1.1\r\n${close}a b: c\r\n\r\n`,
    ],
    [
      'two lengths',
      400,
      'bad_request',
      () => `POST /api/auth/login HTTP/1.1\r\n${close}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
    ],
    ['a method that HTTP does not know', 400, 'bad_request', () => `BREW / HTTP/1.1\r\n${close}\r\n`],
    [
      'headers that are too large',
      431,
      'headers_too_large',
      () => `GET / HTTP/1.1\r\n${close}x: ${'x'.repeat(20_000)}\r\n\r\n`,
    ],
    [
      'an address that is too long',
      431,
      'headers_too_large',
      () => `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${close}\r\n`,
    ],
    [
      'a chunk that is no chunk',
      400,
      'bad_request',
      () =>
        `POST /api/auth/login HTTP/1.1\r\n${close}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    ],
    [
      'extensions of a chunk that are too large',
      413,
      'body_too_large',
      () =>
        `POST /api/auth/login HTTP/1.1\r\n${close}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\n`,
    ],
    ['no host', 400, 'bad_request', () => 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['CONNECT', 400, 'bad_request', () => `CONNECT example.com:443 HTTP/1.1\r\n${close}\r\n`],
    [
      'a path that cannot be decoded',
      400,
      'bad_request',
      () => `GET /api/datasets/%zz HTTP/1.1\r\n${close}\r\n`,
    ],
    [
      'a part of the path that is too long',
      404,
      'not_found',
      () => `GET /api/datasets/${'x'.repeat(300)} HTTP/1.1\r\n${close}\r\n`,
    ],
    ['an address that is not there', 404, 'not_found', () => `GET /nowhere HTTP/1.1\r\n${close}\r\n`],
    ['a method that is not served', 404, 'not_found', () => `PROPFIND / HTTP/1.1\r\n${close}\r\n`],
    [
      'a static file that is not there',
      404,
      'not_found',
      () => `GET /docs/static/nothing.js HTTP/1.1\r\n${close}\r\n`,
    ],
    [
      'a body that is too large',
      413,
      'body_too_large',
      () =>
        `POST /api/auth/login HTTP/1.1\r\n${close}Content-Type: application/json\r\nContent-Length: 2000000\r\n\r\n${'x'.repeat(1000)}`,
    ],
    ['a key of a WebSocket that is none', 400, 'bad_request', () => upgrade('short')],
    [
      'a version of the WebSocket that is not known',
      400,
      'bad_request',
      () => upgrade('dGhlIHNhbXBsZSBub25jZQ==', '99'),
    ],
    [
      'an upgrade without a login',
      401,
      'unauthenticated',
      () => upgrade('dGhlIHNhbXBsZSBub25jZQ==').replace(/Authorization: [^\r]+/, 'x: y'),
    ],
  ])('%s', async (_what, status, code, bytes) => {
    const problem = problemOf(await send(bytes()))
    expect([problem.status, problem.code]).toEqual([status, code])
  })

  test('a request whose headers arrive too late', async () => {
    const app = await buildApp(api.context)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    // What Node does when the time of a request is over.
    app.server.on('connection', (socket) =>
      socket.once('data', () =>
        setImmediate(() =>
          app.server.emit(
            'clientError',
            Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
            socket,
          ),
        ),
      ),
    )
    expect(problemOf(await send('GET / HTTP/1.1\r\nHost:', url))).toMatchObject({
      status: 408,
      code: 'request_timeout',
    })
    await app.close()
  })

  test('a request that arrives while the service stops', async () => {
    const app = await buildApp(api.context)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const taken = once(app.server, 'request')
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    // The body is not complete yet, so the connection is not idle when the service stops.
    const login = '{"email":"a@example.com","password":"x"}'
    socket.write(
      `POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${login.length}\r\n\r\n${login.slice(0, 5)}`,
    )
    await taken
    const closed = app.close()
    socket.write(`${login.slice(5)}GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await once(socket, 'close')
    await closed
    const second = Buffer.concat(chunks).toString().split('HTTP/1.1 503')[1] ?? ''
    expect(second).toContain('application/problem+json')
    expect(second).toMatch(/x-request-id: \S+/i)
    expect(second).toMatch(/retry-after: \d+/i)
  })

  test.each([
    ['GET', '/admin/queues/api/queues/nothing/1', 404],
    ['PUT', '/admin/queues/api/queues/1-parse/nothing/retry', 404],
    ['GET', '/admin/queues/static/nothing.js', 404],
    ['DELETE', '/admin/queues/nowhere', 404],
  ])('%s %s of Bull Board', async (method, path, status) => {
    const response = await admin.ask(path, { method })
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    const problem = Problem.parse(await response.json())
    expect(problem.instance).toBe(response.headers.get('x-request-id'))
  })
})

describe('the id of the request', () => {
  test('is on an upgrade, and equals the one that was sent', async () => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/ws`, {
      headers: { authorization: `Bearer ${viewer.token}`, 'x-request-id': 'mine-1' },
    })
    const [response] = await once(socket, 'upgrade')
    expect(response.headers['x-request-id']).toBe('mine-1')
    socket.close()
  })

  test('is on redirects, files and pages', async () => {
    for (const path of [
      '/',
      '/login',
      '/style.css',
      '/docs',
      '/docs/static/swagger-ui.css',
      '/docs/json',
      '/metrics',
    ]) {
      const response = await fetch(`${api.url}${path}`, { redirect: 'manual' })
      await response.body?.cancel()
      expect(response.headers.get('x-request-id'), path).toMatch(/^[\w-]{5,}$/)
    }
  })
})

test('an unknown expectation is ignored', async () => {
  const answer = await send(`GET /health/live HTTP/1.1\r\n${close}Expect: miracles\r\n\r\n`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('x-request-id')).toMatch(/./)
})

test('a response in progress is not followed by another one when the parser fails', async () => {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
  socket.write('GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n')
  // Larger than what the connection holds: it is under way for as long as this end does not read.
  const [first] = await once(socket, 'data')
  socket.pause()
  const failed = once(api.app.server, 'clientError')
  socket.write('no HTTP\r\n\r\n')
  await failed
  const chunks: Buffer[] = [first]
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => socket.destroy())
  socket.resume()
  await once(socket, 'close')
  const text = Buffer.concat(chunks).toString()
  expect(text).toMatch(/^HTTP\/1.1 200/)
  expect(text).not.toContain('problem+json')
})

test('a client that resets its refused connection does not affect others', async () => {
  for (const bytes of [`CONNECT a:1 HTTP/1.1\r\n${close}\r\n`, 'no HTTP\r\n\r\n', upgrade('short')]) {
    const refused = connect(Number(new URL(api.url).port), '127.0.0.1')
    refused.on('error', () => refused.destroy())
    await once(refused, 'connect')
    refused.write(bytes)
    refused.resetAndDestroy()
    await once(refused, 'close')
    expect((await fetch(`${api.url}/health/live`)).status).toBe(200)
  }
})
