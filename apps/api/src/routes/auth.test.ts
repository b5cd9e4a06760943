import { createHmac, randomUUID } from 'node:crypto'
import { LoginResponse } from '@aduana/contracts/identity'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD, startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let operator: TestUser

beforeAll(async () => {
  api = await startApi()
  operator = await api.addUser('operator')
})
afterAll(() => api.close())

const logIn = (email: string, password: string, headers: Record<string, string> = {}) =>
  fetch(`${api.url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ email, password }),
  })

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token that is signed as ours are, whatever it claims. */
function signed(claims: object): string {
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  const secret = api.context.settings.ADUANA_JWT_SECRET
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

async function problemOf(response: Response) {
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  return Problem.parse(await response.json())
}

describe('logging in', () => {
  test('gives a token and a cookie that no script can read', async () => {
    const response = await logIn(operator.email.toUpperCase(), PASSWORD)
    expect(response.status).toBe(200)
    const { token, user, expiresAt } = LoginResponse.parse(await response.json())
    expect(user).toMatchObject({ userId: operator.userId, role: 'operator' })
    const hours = (Date.parse(expiresAt) - Date.now()) / 3_600_000
    expect(hours).toBeGreaterThan(7.9)
    expect(hours).toBeLessThan(8.1)
    const cookie = response.headers.get('set-cookie') ?? ''
    expect(cookie).toContain(`aduana_session=${token}`)
    expect(cookie).toMatch(/HttpOnly/)
    expect(cookie).toMatch(/SameSite=Strict/)
    expect(cookie).not.toMatch(/Secure/)
    const me = await fetch(`${api.url}/api/auth/me`, { headers: { cookie: `aduana_session=${token}` } })
    expect(await me.json()).toMatchObject({ email: operator.email })
  })

  test('over an https proxy makes the cookie secure', async () => {
    const response = await logIn(operator.email, PASSWORD, { 'x-forwarded-proto': 'https' })
    expect(response.headers.get('set-cookie')).toMatch(/Secure/)
  })

  test('gives the same response for an unknown account and a wrong password', async () => {
    const user = await api.addUser('viewer')
    const wrong = await problemOf(await logIn(user.email, 'not this'))
    const unknown = await problemOf(await logIn('nobody@example.com', PASSWORD))
    expect({ ...wrong, instance: '' }).toEqual({ ...unknown, instance: '' })
    expect(wrong).toMatchObject({ status: 401, code: 'bad_credentials' })
  })

  test('is audited, also if it fails', async () => {
    const user = await api.addUser('viewer')
    await logIn(user.email, 'wrong')
    await logIn(user.email, PASSWORD)
    const rows = await api.db
      .selectFrom('audit_log')
      .select('action')
      .where('subject_id', '=', user.userId)
      .orderBy('id')
      .execute()
    expect(rows.map((row) => row.action)).toEqual(['user.login_failed', 'user.login'])
  })

  test('names the field that is not well formed', async () => {
    expect(await problemOf(await logIn('no address', 'x'))).toMatchObject({
      status: 400,
      code: 'bad_request',
      errors: [{ field: 'email' }],
    })
  })

  test('refuses a body that is not JSON', async () => {
    const text = await fetch(`${api.url}/api/auth/login`, { method: 'POST', body: 'hello' })
    expect(await problemOf(text)).toMatchObject({ status: 415, code: 'bad_content_type' })
    const broken = await fetch(`${api.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"email":',
    })
    expect(await problemOf(broken)).toMatchObject({ status: 400, code: 'bad_request' })
  })
})

describe('a token', () => {
  const me = (authorization?: string) =>
    fetch(`${api.url}/api/auth/me`, authorization === undefined ? {} : { headers: { authorization } })
  const claims = () => ({ sub: operator.userId, jti: randomUUID(), ver: 1 })
  const ours = () => ({ ...claims(), iss: 'aduana', aud: 'aduana-api' })
  const others = (changed: object) => `Bearer ${api.app.jwt.sign({ ...claims(), ...changed })}`

  test('that is signed with the key and complete is valid', async () => {
    expect((await me(`Bearer ${signed({ ...ours(), exp: 4e9 })}`)).status).toBe(200)
  })

  test.each([
    ['none', () => undefined],
    ['another scheme', () => 'Basic YTpi'],
    ['nonsense', () => 'Bearer nonsense'],
    ['the algorithm none', () => `Bearer ${part({ alg: 'none' })}.${part({ ...ours(), exp: 4e9 })}.`],
    ['the algorithm None', () => `Bearer ${part({ alg: 'None' })}.${part({ ...ours(), exp: 4e9 })}.`],
    ['no end', () => `Bearer ${signed(ours())}`],
    ['a later beginning', () => `Bearer ${api.app.jwt.sign(claims(), { notBefore: 3600 })}`],
    ['another issuer', () => `Bearer ${api.app.jwt.sign(claims(), { iss: 'somebody' })}`],
    ['another audience', () => `Bearer ${api.app.jwt.sign(claims(), { aud: 'elsewhere' })}`],
    ['another key', () => `Bearer ${api.app.jwt.sign(claims(), { key: 'x'.repeat(40) })}`],
    ['another algorithm', () => `Bearer ${api.app.jwt.sign(claims(), { algorithm: 'HS512' })}`],
    ['no such user', () => others({ sub: randomUUID() })],
    ['no user at all', () => others({ sub: 'me' })],
    ['no session', () => others({ jti: undefined })],
    ['no version of the sessions', () => others({ ver: undefined })],
    ['another version of the sessions', () => others({ ver: 2 })],
  ])('with %s is refused', async (_what, authorization) => {
    const response = await me(authorization())
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
    expect((await problemOf(response)).code).toBe('unauthenticated')
  })

  test('that has expired is reported as expired', async () => {
    const response = await me(
      `Bearer ${api.app.jwt.sign({ ...claims(), iat: 1_700_000_000 }, { expiresIn: 60 })}`,
    )
    expect(await problemOf(response)).toMatchObject({ status: 401, code: 'token_expired' })
  })
})

describe('a role', () => {
  test('that is insufficient is refused with 403 before anything is read', async () => {
    const viewer = await api.addUser('viewer')
    const response = await viewer.ask('/api/imports', { method: 'POST', body: 'whatever' })
    expect(await problemOf(response)).toMatchObject({ status: 403, code: 'forbidden' })
    expect((await viewer.ask(`/api/jobs/${randomUUID()}/cancel`, { method: 'POST' })).status).toBe(403)
    expect((await viewer.ask('/admin/queues')).status).toBe(403)
  })
})

describe('a browser', () => {
  const withCookie = (headers: Record<string, string>) =>
    fetch(`${api.url}/api/ws-ticket`, {
      method: 'POST',
      headers: { cookie: `aduana_session=${operator.token}`, ...headers },
    })

  test('can write from pages of the API', async () => {
    expect((await withCookie({ origin: api.url })).status).toBe(200)
  })

  test.each([
    ['its origin', { origin: 'https://evil.example' }],
    ['an opaque origin', { origin: 'null' }],
    ['the fetch metadata', { 'sec-fetch-site': 'cross-site' }],
    ['the fetch metadata, as a neighbour', { 'sec-fetch-site': 'same-site' }],
  ])('cannot write from another site, detected by %s', async (_what, headers) => {
    expect(await problemOf(await withCookie({ ...headers }))).toMatchObject({
      status: 403,
      code: 'cross_site',
    })
  })

  test('cannot be logged in by another site', async () => {
    const response = await logIn(operator.email, PASSWORD, { origin: 'https://evil.example' })
    expect(response.status).toBe(403)
  })
})
