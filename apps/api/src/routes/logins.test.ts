import { randomUUID, scryptSync } from 'node:crypto'
import { LoginResponse } from '@aduana/contracts/identity'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildApp } from '../app.ts'
import { PASSWORD, startApi, type TestApi } from '../testing/start-api.ts'
import { createLoginFailures } from '../users/login-failures.ts'

let api: TestApi
let otherUrl: string
let closeOther: () => Promise<void>

beforeAll(async () => {
  api = await startApi()
  const other = await buildApp(api.context)
  closeOther = () => other.close()
  otherUrl = await other.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(async () => {
  await closeOther()
  await api.close()
})
beforeEach(async () => {
  await api.db.deleteFrom('login_failures').execute()
})

/** A login from an address, as a trusted proxy tells it. */
const logIn = (email: string, password: string, address = '192.0.2.1', url = api.url) =>
  fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
    body: JSON.stringify({ email, password }),
  })

const statusOf = async (response: Promise<Response>) => {
  const { status, body } = await response
  await body?.cancel()
  return status
}
const statuses = (n: number, ask: (n: number) => Promise<Response>) =>
  Promise.all(Array.from({ length: n }, (_, i) => statusOf(ask(i))))
const times = (n: number, status: number) => Array.from({ length: n }, () => status)
/** Adds users whose password costs next to nothing to check. */
async function newUsers(n: number): Promise<string[]> {
  const emails = Array.from({ length: n }, () => `${randomUUID()}@example.com`)
  const password_hash = cheapHash(PASSWORD)
  await api.db
    .insertInto('users')
    .values(emails.map((email) => ({ email, role: 'viewer', password_hash })))
    .execute()
  return emails
}
function cheapHash(password: string): string {
  const salt = Buffer.alloc(16)
  const key = scryptSync(password, salt, 32, { N: 2, r: 1, p: 1 })
  return ['scrypt', 2, 1, 1, salt.toString('base64url'), key.toString('base64url')].join('$')
}
const newUser = async () => (await newUsers(1)).join()
const unknown = () => `${randomUUID()}@example.com`

/** A hundred failures, no more than seven from one network. */
async function lockEverywhere(email: string): Promise<void> {
  const failures = createLoginFailures(api.db, api.context.settings.ADUANA_JWT_SECRET)
  for (let n = 0; n < 100; n++) await failures.add({ email, network: `198.51.100.${n % 15}` })
}

describe('successful logins', () => {
  test('twenty concurrent ones succeed, and so do sixty from one address', async () => {
    const email = await newUser()
    expect(await statuses(20, () => logIn(email, PASSWORD))).toEqual(times(20, 200))
    const emails = await newUsers(60)
    expect(await statuses(60, (n) => logIn(emails[n] ?? '', PASSWORD))).toEqual(times(60, 200))
    expect(await statusOf(logIn(email, PASSWORD))).toBe(200)
  })

  test('reset the earlier failures', async () => {
    const email = await newUser()
    for (let round = 0; round < 2; round++) {
      expect(await statuses(7, () => logIn(email, 'guess'))).toEqual(times(7, 401))
      expect(await statusOf(logIn(email, PASSWORD))).toBe(200)
    }
  })
})

describe('failed logins', () => {
  test('of an account from one address lock it there, and report for how long', async () => {
    const email = await newUser()
    expect(await statuses(8, () => logIn(email, 'guess'))).toEqual(times(8, 401))
    const refused = await logIn(email.toUpperCase(), PASSWORD)
    expect(refused.status).toBe(429)
    const seconds = Number(refused.headers.get('retry-after'))
    expect(seconds).toBeGreaterThan(600)
    expect(seconds).toBeLessThanOrEqual(900)
    expect(Problem.parse(await refused.json())).toMatchObject({ code: 'too_many_logins' })
  })

  test('of an account from one address do not lock it for another', async () => {
    const email = await newUser()
    await statuses(20, () => logIn(email, 'guess', '192.0.2.1'))
    expect(await statusOf(logIn(email, PASSWORD, '192.0.2.1'))).toBe(429)
    expect(await statusOf(logIn(email, PASSWORD, '192.0.2.2'))).toBe(200)
  })

  test('of sixty accounts from one address lock only that address', async () => {
    const email = await newUser()
    const others = await newUsers(60)
    expect(await statuses(60, (n) => logIn(others[n] ?? '', 'guess'))).toEqual(times(60, 401))
    expect(await statusOf(logIn(email, PASSWORD))).toBe(429)
    expect(await statusOf(logIn(email, PASSWORD, '192.0.2.2'))).toBe(200)
  })

  test('of an IPv6 network count together, as those of the mapped form of an IPv4 address do', async () => {
    const email = await newUser()
    expect(await statuses(8, (n) => logIn(email, 'guess', `2001:db8:1:2::${n}`))).toEqual(times(8, 401))
    expect(await statusOf(logIn(email, PASSWORD, '2001:db8:1:2:ffff::1'))).toBe(429)
    expect(await statusOf(logIn(email, PASSWORD, '2001:db8:1:3::1'))).toBe(200)
    expect(await statuses(8, () => logIn(email, 'guess', '192.0.2.9'))).toEqual(times(8, 401))
    expect(await statusOf(logIn(email, PASSWORD, '::ffff:192.0.2.9'))).toBe(429)
  })

  test('are counted over all API processes', async () => {
    const email = await newUser()
    const alternating = (n: number) => (n % 2 === 0 ? api.url : otherUrl)
    const tried = await statuses(8, (n) => logIn(email, 'guess', undefined, alternating(n)))
    expect(tried).toEqual(times(8, 401))
    for (const url of [api.url, otherUrl])
      expect(await statusOf(logIn(email, PASSWORD, undefined, url))).toBe(429)
  })

  test('in a hundred concurrent requests are refused after the eighth, except those being hashed', async () => {
    const email = await newUser()
    const tried = await statuses(100, () => logIn(email, 'guess'))
    const hashed = tried.filter((status) => status === 401).length
    expect(hashed).toBeGreaterThanOrEqual(8)
    expect(hashed, 'two are hashed at once').toBeLessThanOrEqual(9)
    expect(new Set(tried)).toEqual(new Set([401, 429]))
  })

  test('of a known and of an unknown account get the same response, locked or not', async () => {
    const names = [await newUser(), unknown()]
    const answers = await Promise.all(
      names.map(async (email) => {
        const told: unknown[] = []
        for (let n = 0; n < 10; n++) {
          const response = await logIn(email, 'guess', `203.0.113.${names.indexOf(email)}`)
          const { instance: _, retryAfterSeconds: __, ...problem } = Problem.parse(await response.json())
          told.push(problem)
        }
        return told
      }),
    )
    expect(answers[0]).toEqual(answers[1])
  })
})

describe('an account that is attacked from many networks', () => {
  test('can still be used from addresses of earlier logins', async () => {
    const email = await newUser()
    expect(await statusOf(logIn(email, PASSWORD, '192.0.2.77'))).toBe(200)
    await lockEverywhere(email)
    expect(await statusOf(logIn(email, PASSWORD, '192.0.2.77'))).toBe(200)
    expect(await statusOf(logIn(email, PASSWORD, '192.0.2.78')), 'from elsewhere').toBe(429)
  })

  test('gets the same refusal with a right or a wrong password, and for an unknown account', async () => {
    const [email, nobody] = [await newUser(), unknown()]
    await lockEverywhere(email)
    await lockEverywhere(nobody)
    const told = await Promise.all(
      [
        [email, PASSWORD],
        [email, 'guess'],
        [nobody, 'guess'],
      ].map(async ([name = '', password = '']) => {
        const response = await logIn(name, password, '192.0.2.80')
        const { instance: _, retryAfterSeconds: __, ...problem } = Problem.parse(await response.json())
        return problem
      }),
    )
    expect(told[0]).toMatchObject({ code: 'too_many_logins' })
    expect(told).toEqual([told[0], told[0], told[0]])
  })
})

test('at most sixteen addresses of a user are remembered', async () => {
  const email = await newUser()
  const all = await statuses(20, (n) => logIn(email, PASSWORD, `192.0.2.${100 + n}`))
  expect(all).toEqual(times(20, 200))
  expect(await statusOf(logIn(email, PASSWORD, '192.0.2.99'))).toBe(200)
  const kept = await api.db
    .selectFrom('login_networks')
    .innerJoin('users', 'users.id', 'login_networks.user_id')
    .select('network')
    .where('email', '=', email)
    .execute()
  expect(kept.length).toBeLessThanOrEqual(16)
  expect(kept.map(({ network }) => network)).toContain('192.0.2.99')
})

test('the login page shows how long to wait', async () => {
  const email = await newUser()
  await statuses(8, () => logIn(email, 'guess', '127.0.0.1'))
  const page = await fetch(`${api.url}/login`, {
    method: 'POST',
    body: new URLSearchParams({ email, password: PASSWORD }),
  })
  expect(page.status).toBe(429)
  expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(600)
  expect(await page.text()).toContain('Too many failed logins')
})

test('a login returns the current role and scope of the user', async () => {
  const user = await api.addUser('steward')
  const answer = LoginResponse.parse(await (await logIn(user.email, PASSWORD)).json())
  expect(answer.user).toMatchObject({ userId: user.userId, role: 'steward' })
})
