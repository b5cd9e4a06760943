import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let operator: TestUser
let admin: TestUser
beforeAll(async () => {
  api = await startApi({ ADUANA_ORIGINS: 'https://friend.example:443/, http://data.example' })
  operator = await api.addUser('operator')
  admin = await api.addUser('admin')
})
afterAll(() => api.close())

/** Asked with the cookie, as a browser does. The address of the client is a trusted proxy unless `from` is another. */
const ticket = async (headers: Record<string, string>, from = '127.0.0.1') =>
  (
    await api.app.inject({
      method: 'POST',
      url: '/api/ws-ticket',
      remoteAddress: from,
      headers: { cookie: `aduana_session=${operator.token}`, ...headers },
    })
  ).statusCode

describe('a page', () => {
  test.each<[string, Record<string, string>]>([
    ['of our own address', { host: 'aduana.example', origin: 'http://aduana.example' }],
    [
      'of our own address with the port that its scheme has',
      { host: 'aduana.example:80', origin: 'http://aduana.example' },
    ],
    [
      'of our own address behind a proxy with TLS',
      { host: 'aduana.example', 'x-forwarded-proto': 'https', origin: 'https://aduana.example' },
    ],
    [
      'of our own address behind a proxy that renames it',
      {
        host: 'api:3000',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'aduana.example',
        origin: 'https://aduana.example',
      },
    ],
    [
      'of another port, which a proxy names',
      {
        host: 'api:3000',
        'x-forwarded-host': 'aduana.example:8443',
        'x-forwarded-proto': 'https',
        origin: 'https://aduana.example:8443',
      },
    ],
    ['of an origin that is a friend', { host: 'aduana.example', origin: 'https://friend.example' }],
  ])('%s may write', async (_, headers) => {
    expect(await ticket(headers)).toBe(200)
  })

  test.each<[string, Record<string, string>]>([
    [
      'of the same host without TLS',
      { host: 'aduana.example', 'x-forwarded-proto': 'https', origin: 'http://aduana.example' },
    ],
    [
      'of the same host with TLS, where there is none',
      { host: 'aduana.example', origin: 'https://aduana.example' },
    ],
    ['of the port of the other scheme', { host: 'aduana.example', origin: 'http://aduana.example:443' }],
    ['of a friend without TLS', { host: 'aduana.example', origin: 'http://friend.example' }],
    [
      'of a host that only begins as ours',
      { host: 'aduana.example', origin: 'http://aduana.example.evil.example' },
    ],
    ['without an origin that it tells', { host: 'aduana.example', origin: 'null' }],
  ])('%s may not', async (_, headers) => {
    expect(await ticket(headers)).toBe(403)
  })

  test('cannot set proxy headers', async () => {
    const headers = { host: 'aduana.example', 'x-forwarded-proto': 'https', origin: 'https://aduana.example' }
    expect(await ticket(headers, '203.0.113.9')).toBe(403)
  })
})

describe('data without a login', () => {
  const read = async (url: string, host: string, headers: Record<string, string> = {}) =>
    (await api.app.inject({ url, headers: { host, ...headers } })).statusCode

  test.each([
    '127.0.0.1:3000',
    'localhost:3000',
    '[::1]:3000',
    '10.1.2.3',
    'api:3000',
    'data.example',
    'probe.localhost',
  ])('is sent to requests for %s, as probes send them', async (host) => {
    const asked = ['/health', '/health/ready', '/health/live', '/metrics']
    expect(await Promise.all(asked.map((url) => read(url, host)))).toEqual([200, 200, 200, 200])
  })

  test.each([
    'evil.example',
    'evil.example:3000',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    'aduana.example',
    ' ',
  ])('is not sent to pages of a host name that resolves to this address: %s', async (host) => {
    const asked = ['/health', '/health/ready', '/metrics']
    expect(await Promise.all(asked.map((url) => read(url, host)))).toEqual([403, 403, 401])
    expect(await read('/health/live', host)).toBe(200)
  })

  test('is sent to an admin under any host name', async () => {
    const authorization = `Bearer ${admin.token}`
    expect(await read('/metrics', 'aduana.example', { authorization })).toBe(200)
  })
})
