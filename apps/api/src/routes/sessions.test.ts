import { once } from 'node:events'
import { LoginResponse, TicketResponse } from '@aduana/contracts/identity'
import { Problem } from '@aduana/contracts/problems'
import { type ProductProcess, startProduct } from '@aduana/testkit/processes'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { openSocket, refusedUpgrade } from '../testing/socket.ts'
import { PASSWORD, startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

const NEW_PASSWORD = 'another horse battery'

let api: TestApi
/** Another API process over the same database. */
let other: ProductProcess
let otherUrl: string

beforeAll(async () => {
  api = await startApi()
  const { settings } = api.context
  other = startProduct('api', {
    DATABASE_URL: settings.DATABASE_URL,
    REDIS_URL: settings.REDIS_URL,
    ADUANA_DATA_DIR: settings.ADUANA_DATA_DIR,
    ADUANA_JWT_SECRET: settings.ADUANA_JWT_SECRET,
    PORT: '0',
  })
  await other.untilLogged('api.ready', 45_000)
  otherUrl = /"address":"(http:[^"]+)"/.exec(other.lines.join('\n'))?.[1] ?? ''
})
afterAll(async () => {
  await other.stop()
  await api.close()
})

/** The status of a request with a token, at each of the two processes. */
async function everywhere(token: string): Promise<number[]> {
  const headers = { authorization: `Bearer ${token}` }
  const both = await Promise.all([api.url, otherUrl].map((url) => fetch(`${url}/api/auth/me`, { headers })))
  return both.map(({ status }) => status)
}

async function logIn(email: string, password = PASSWORD, url = api.url): Promise<LoginResponse> {
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  return LoginResponse.parse(await response.json())
}

const changePassword = (token: string, current: string, next: string) =>
  fetch(`${api.url}/api/auth/password`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ current, new: next }),
  })

const logOut = (token: string) =>
  fetch(`${api.url}/api/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })

const setUser = (
  user: TestUser,
  change: { disabled_at?: Date | null; role?: string; companies?: string[] },
) => api.db.updateTable('users').set(change).where('id', '=', user.userId).execute()

/** A WebSocket of the other process. */
async function openElsewhere(token: string): Promise<{ closed: Promise<number> }> {
  const socket = new WebSocket(`${otherUrl.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const closed = once(socket, 'close').then(([code]) => Number(code))
  await once(socket, 'open')
  return { closed }
}

describe('a disabled account', () => {
  test('is refused at its next request by every process', async () => {
    const user = await api.addUser('viewer')
    expect(await everywhere(user.token)).toEqual([200, 200])
    await setUser(user, { disabled_at: new Date() })
    expect(await everywhere(user.token)).toEqual([401, 401])
  })

  test('does not get its old tokens back when it is enabled again', async () => {
    const user = await api.addUser('viewer')
    await setUser(user, { disabled_at: new Date() })
    await setUser(user, { disabled_at: null })
    expect(await everywhere(user.token)).toEqual([401, 401])
    expect(await everywhere((await logIn(user.email)).token)).toEqual([200, 200])
  })

  test('loses its open WebSockets in every process', async () => {
    const user = await api.addUser('viewer')
    const client = await openSocket(api, user)
    const elsewhere = await openElsewhere(user.token)
    await setUser(user, { disabled_at: new Date() })
    expect(await client.closed).toBe(4401)
    expect(await elsewhere.closed).toBe(4401)
  })
})

describe('a changed user', () => {
  test('has the new role at the next request', async () => {
    const user = await api.addUser('admin')
    expect((await user.ask('/admin/queues/api/queues')).status).toBe(200)
    await setUser(user, { role: 'viewer' })
    expect((await user.ask('/admin/queues/api/queues')).status).toBe(403)
  })

  test('is seen as changed by the open WebSocket', async () => {
    const user = await api.addUser('admin')
    const client = await openSocket(api, user)
    const [follower] = [...api.hub.subscribers()].filter(({ principal }) => principal.userId === user.userId)
    await setUser(user, { role: 'viewer', companies: ['ACME'] })
    await until(() => follower?.principal.role === 'viewer', { what: 'the role has changed' })
    expect(follower?.principal.companies).toEqual(['ACME'])
    client.socket.close()
  })
})

describe('logging out', () => {
  test('ends the session in every process, and no other of the user', async () => {
    const user = await api.addUser('viewer')
    const { token } = await logIn(user.email)
    expect(await everywhere(token)).toEqual([200, 200])
    expect((await logOut(token)).status).toBe(204)
    expect(await everywhere(token)).toEqual([401, 401])
    expect(await everywhere(user.token)).toEqual([200, 200])
    expect((await logOut(token)).status).toBe(401)
  })

  test('removes the cookie and makes it invalid', async () => {
    const user = await api.addUser('viewer')
    const cookie = `aduana_session=${user.token}`
    for (const path of ['/api/auth/logout', '/logout']) {
      const { token } = await logIn(user.email)
      const headers = { cookie: `aduana_session=${token}`, origin: api.url }
      const response = await fetch(`${api.url}${path}`, { method: 'POST', headers, redirect: 'manual' })
      expect(response.status).toBeLessThan(400)
      expect(response.headers.get('set-cookie')).toMatch(/aduana_session=;.*Expires=Thu, 01 Jan 1970/)
      expect(await everywhere(token), path).toEqual([401, 401])
    }
    expect((await fetch(`${api.url}/api/auth/me`, { headers: { cookie } })).status).toBe(200)
  })

  test('closes the WebSockets of the session, also those opened by a ticket, and voids its tickets', async () => {
    const user = await api.addUser('viewer')
    const leaving = { ...user, token: (await logIn(user.email)).token }
    const ask = { method: 'POST', headers: { authorization: `Bearer ${leaving.token}` } }
    const ticket = async () =>
      TicketResponse.parse(await (await fetch(`${api.url}/api/ws-ticket`, ask)).json()).ticket
    const address = `${api.url.replace('http', 'ws')}/ws`
    const byToken = await openSocket(api, leaving)
    const byTicket = new WebSocket(`${address}?ticket=${await ticket()}`)
    const ticketClosed = once(byTicket, 'close').then(([code]) => Number(code))
    await once(byTicket, 'open')
    const staying = await openSocket(api, user)
    const unused = await ticket()
    await logOut(leaving.token)
    expect(await byToken.closed).toBe(4401)
    expect(await ticketClosed).toBe(4401)
    expect(await refusedUpgrade(`${address}?ticket=${unused}`)).toBe(401)
    staying.send({ type: 'ping' })
    await staying.receive('pong')
    staying.socket.close()
  })

  test('is audited once, however often it is requested', async () => {
    const user = await api.addUser('viewer')
    await Promise.all([logOut(user.token), logOut(user.token), logOut(user.token)])
    const rows = await api.db
      .selectFrom('audit_log')
      .select('action')
      .where('subject_id', '=', user.userId)
      .execute()
    expect(rows).toEqual([{ action: 'user.logout' }])
  })
})

describe('changing the password', () => {
  test('ends all sessions except the new one', async () => {
    const user = await api.addUser('viewer')
    const { token } = await logIn(user.email)
    const client = await openSocket(api, user)
    const response = await changePassword(token, PASSWORD, NEW_PASSWORD)
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toContain('no-store')
    const renewed = LoginResponse.parse(await response.json())
    expect(response.headers.get('set-cookie')).toContain(renewed.token)
    expect(await everywhere(renewed.token)).toEqual([200, 200])
    expect(await everywhere(token)).toEqual([401, 401])
    expect(await everywhere(user.token)).toEqual([401, 401])
    expect(await client.closed).toBe(4401)
    expect((await logIn(user.email, NEW_PASSWORD)).user.userId).toBe(user.userId)
  })

  test('needs the current one, and counts a wrong one as a failed login', async () => {
    const user = await api.addUser('viewer')
    const wrong = await changePassword(user.token, 'guess', NEW_PASSWORD)
    expect(Problem.parse(await wrong.json())).toMatchObject({ status: 401, code: 'bad_credentials' })
    for (let n = 1; n < 8; n++) await changePassword(user.token, 'guess', NEW_PASSWORD)
    expect((await changePassword(user.token, PASSWORD, NEW_PASSWORD)).status).toBe(429)
    expect((await user.ask('/api/auth/me')).status).toBe(200)
  })

  test('refuses a password that is too short', async () => {
    const user = await api.addUser('viewer')
    const response = await changePassword(user.token, PASSWORD, 'seven77')
    expect(Problem.parse(await response.json())).toMatchObject({
      status: 400,
      code: 'bad_request',
      errors: [{ field: 'new' }],
    })
  })

  test('twice concurrently is done once and completely', async () => {
    const user = await api.addUser('viewer')
    const both = await Promise.all(
      ['first password', 'second password'].map((next) => changePassword(user.token, PASSWORD, next)),
    )
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401])
    const done = both[0]?.status === 200 ? 'first password' : 'second password'
    expect((await logIn(user.email, done)).user.userId).toBe(user.userId)
    const rows = await api.db
      .selectFrom('audit_log')
      .select('id')
      .where('subject_id', '=', user.userId)
      .where('action', '=', 'user.password_changed')
      .execute()
    expect(rows).toHaveLength(1)
  })
})
