import { readFile } from 'node:fs/promises'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildApp } from './app.ts'
import { OPENAPI_FILE, openApiDocument } from './openapi-document.ts'
import { PASSWORD, startApi, type TestApi, type TestUser } from './testing/start-api.ts'

let api: TestApi
let admin: TestUser
let viewer: TestUser

beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
  viewer = await api.addUser('viewer')
})
afterAll(() => api.close())

describe('access', () => {
  test('is declared for every route, or the API does not start', async () => {
    const app = await buildApp(api.context)
    app.get('/forgotten', async () => 'open to all')
    await expect(app.ready()).rejects.toThrow(/without config.access: \/forgotten/)
    await app.close()
  })

  test('is public only for the routes that need it', () => {
    const open = api.app.decisions
      .filter(({ config }) => config?.access === 'public' || config?.access === 'probe')
      .filter((route) => !route.url.startsWith('/docs'))
      .map((route) => `${route.method} ${route.url}`)
      .filter((route) => !route.startsWith('HEAD'))
    expect(open.sort()).toEqual([
      'GET /',
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'GET /login',
      'GET /style.css',
      'POST /api/auth/login',
      'POST /login',
      'POST /logout',
    ])
  })

  test('without a token is 401 on every other route of the document', async () => {
    const document = Object(await (await fetch(`${api.url}/docs/json`)).json())
    for (const [path, methods] of Object.entries<Record<string, { security?: unknown[] }>>(document.paths))
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.security?.length === 0 || path === '/metrics') continue
        const url = path.replaceAll(/\{\w+\}/g, '0')
        const response = await fetch(`${api.url}${url}`, { method: method.toUpperCase() })
        expect(response.status, `${method} ${path}`).toBe(401)
        expect(Problem.parse(await response.json()).code).toBe('unauthenticated')
      }
  })
})

describe('Bull Board', () => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${api.url}${path}`, { headers, redirect: 'manual' })
  const asAdmin = () => ({ authorization: `Bearer ${admin.token}` })

  test.each(['/admin/queues', '/admin/queues/api/queues', '/admin/queues/static/favicon-32x32.png'])(
    'hides %s from everyone except admins',
    async (path) => {
      expect((await get(path)).status).toBe(401)
      expect((await get(path, { authorization: `Bearer ${viewer.token}` })).status).toBe(403)
      expect((await get(path, { cookie: `aduana_session=${admin.token}` })).status).toBe(200)
    },
  )

  test('sends people who are not logged in to the login page and back', async () => {
    const response = await get('/admin/queues/queue/1-parse?status=failed', { accept: 'text/html' })
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe(
      `/login?next=${encodeURIComponent('/admin/queues/queue/1-parse?status=failed')}`,
    )
  })

  test('shows the five stages in the order of the flow, then the schedules and the metrics, and loads nothing from other hosts', async () => {
    const page = await (await get('/admin/queues', asAdmin())).text()
    expect(page).toContain('Aduana')
    expect(page).not.toMatch(/https?:\/\//)
    const { queues } = Object(await (await get('/admin/queues/api/queues', asAdmin())).json())
    expect(queues.map((queue: { name: string }) => queue.name)).toEqual([
      '1-parse',
      '2-validate',
      '3-quarantine',
      '4-load',
      '5-fan-out',
      '6-schedules',
      '7-metrics',
    ])
  })

  test('logs the user of every change, and refuses changes from other sites', async () => {
    const pause = (headers: Record<string, string>) =>
      fetch(`${api.url}/admin/queues/api/queues/1-parse/pause`, { method: 'PUT', headers })
    const cookie = `aduana_session=${admin.token}`
    expect((await pause({ cookie, origin: 'https://evil.example' })).status).toBe(403)
    expect((await pause({ cookie, origin: api.url })).status).toBe(200)
    const audited = await api.db
      .selectFrom('audit_log')
      .selectAll()
      .where('action', '=', 'board.change')
      .execute()
    expect(audited).toMatchObject([{ actor: admin.userId, subject_id: '/api/queues/1-parse/pause' }])
  })
})

describe('the login page', () => {
  const page = (language: string) =>
    fetch(`${api.url}/login?next=/admin/queues`, { headers: { 'accept-language': language } })
  const post = (fields: Record<string, string>) =>
    fetch(`${api.url}/login`, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' })

  test('is available in English and Spanish', async () => {
    expect(await (await page('en-GB,en;q=0.9,es;q=0.8')).text()).toContain('Password')
    expect(await (await page('es-CO,es;q=0.9,en;q=0.8')).text()).toContain('Contraseña')
    expect(await (await page('fr')).text()).toContain('lang="en"')
  })

  test('sets the cookie and redirects', async () => {
    const response = await post({ email: admin.email, password: PASSWORD, next: '/admin/queues' })
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe('/admin/queues')
    expect(response.headers.get('set-cookie')).toMatch(/^aduana_session=.*HttpOnly/)
  })

  test.each([
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    '/\t/evil.example',
  ])('never redirects to another site: %s', async (next) => {
    const response = await post({ email: admin.email, password: PASSWORD, next })
    expect(response.headers.get('location')).toBe('/')
  })

  test('reports a wrong password, and escapes the address', async () => {
    const response = await post({ email: viewer.email, password: 'wrong', next: '/"><script>' })
    expect(response.status).toBe(401)
    const text = await response.text()
    expect(text).toContain('role="alert"')
    expect(text).not.toContain('<script>')
  })
})

describe('every response', () => {
  test('has security headers and the id of the request', async () => {
    for (const path of ['/', '/docs', '/health', '/api/jobs', '/nowhere']) {
      const { headers } = await fetch(`${api.url}${path}`, { headers: { 'x-request-id': 'abc-1' } })
      expect(headers.get('content-security-policy'), path).toMatch(
        /default-src 'none'.*frame-ancestors 'none'/,
      )
      expect(headers.get('content-security-policy'), path).not.toMatch(
        /https?:|unsafe-eval|script-src[^;]*unsafe/,
      )
      expect(headers.get('x-content-type-options'), path).toBe('nosniff')
      expect(headers.get('x-request-id'), path).toBe('abc-1')
      expect(headers.get('access-control-allow-origin'), path).toBeNull()
    }
  })

  test('of /api cannot be cached, whether it is a success or a problem', async () => {
    const paths = ['/api/jobs', '/api/datasets/orders', '/api/metrics?limit=0', '/api/nowhere', '/api/jobs/1']
    for (const ask of [admin.ask, (path: string) => fetch(`${api.url}${path}`)])
      for (const path of paths)
        expect((await ask(path)).headers.get('cache-control'), path).toBe('private, no-store')
    const { status, headers } = await fetch(`${api.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: admin.email, password: PASSWORD }),
    })
    expect([status, headers.get('cache-control')]).toEqual([200, 'private, no-store'])
  })

  test('to an address that does not exist is a problem document', async () => {
    const response = await fetch(`${api.url}/nowhere?secret=1`)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    const problem = Problem.parse(await response.json())
    expect(problem).toMatchObject({ status: 404, code: 'not_found', type: 'urn:aduana:problem:not_found' })
    expect(problem.instance).toBe(response.headers.get('x-request-id'))
    expect(JSON.stringify(problem)).not.toContain('secret')
  })

  test('hides internal errors', async () => {
    const app = await buildApp(api.context)
    app.get('/broken', { config: { access: 'public' } }, async () => {
      throw new Error('password of the database: hunter2')
    })
    const response = await app.inject('/broken')
    expect(response.statusCode).toBe(500)
    expect(response.json()).toMatchObject({ code: 'internal' })
    expect(response.body).not.toContain('hunter2')
    await app.close()
  })
})

describe('health', () => {
  test('reports that everything works', async () => {
    const response = await fetch(`${api.url}/health`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      status: 'ok',
      checks: {
        postgresql: { ok: true },
        schema: { ok: true },
        artifacts: { ok: true },
        redis: { ok: true },
      },
    })
    expect(await (await fetch(`${api.url}/health/live`)).json()).toEqual({ status: 'ok' })
  })

  test('stays ready without Redis', async () => {
    const app = await buildApp({ ...api.context, checkRedis: () => Promise.reject(new Error('gone')) })
    const response = await app.inject('/health/ready')
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({
      status: 'degraded',
      checks: { redis: { ok: false, needed: false } },
    })
    await app.close()
  })

  test('is not ready with another schema', async () => {
    const app = await buildApp({ ...api.context, checkSchema: () => Promise.reject(new Error('older')) })
    const response = await app.inject('/health/ready')
    expect(response.statusCode).toBe(503)
    expect(response.json()).toMatchObject({ status: 'unavailable', checks: { schema: { ok: false } } })
    expect(response.body).not.toContain('older')
    await app.close()
  })
})

describe('the figures', () => {
  test('are for admins and programs on the same machine', async () => {
    const local = await fetch(`${api.url}/metrics`)
    expect(local.status).toBe(200)
    const text = await local.text()
    expect(text).toMatch(/^aduana_jobs\{status="QUEUED"\} \d+$/m)
    expect(text).toMatch(/^aduana_http_request_seconds_bucket/m)
    expect(text).toMatch(/^aduana_ws_clients 0$/m)
    const remote = { 'x-forwarded-for': '203.0.113.7' }
    expect((await fetch(`${api.url}/metrics`, { headers: remote })).status).toBe(401)
    expect((await viewer.ask('/metrics', { headers: remote })).status).toBe(403)
    expect((await admin.ask('/metrics', { headers: remote })).status).toBe(200)
  })
})

describe('datasets', () => {
  test('are listed with their definitions', async () => {
    const { items } = Object(await (await viewer.ask('/api/datasets')).json())
    expect(items.map((dataset: { code: string }) => dataset.code)).toContain('production')
    const one = Object(await (await viewer.ask('/api/datasets/production')).json())
    expect(one).toMatchObject({ code: 'production', version: 1, loadMode: 'replace-window' })
    expect(one.definition.columns.length).toBeGreaterThan(5)
    const none = await viewer.ask('/api/datasets/nothing')
    expect(Problem.parse(await none.json())).toMatchObject({ status: 404, code: 'unknown_dataset' })
  })
})

describe('the OpenAPI document', () => {
  test('in the repository is that of the program (written by the script openapi of apps/api)', async () => {
    expect(await readFile(OPENAPI_FILE, 'utf8')).toBe(await openApiDocument())
  })

  test('is served with a page to try it', async () => {
    const document = Object(await (await fetch(`${api.url}/docs/json`)).json())
    expect(document.openapi).toBe('3.1.0')
    const page = await fetch(`${api.url}/docs/`)
    expect(page.status).toBe(200)
    expect(await page.text()).not.toMatch(/src="https?:/)
    const script = await fetch(`${api.url}/docs/static/swagger-ui-bundle.js`)
    expect(script.status).toBe(200)
    // Read to its end: an answer that nobody reads keeps the connection open.
    expect((await script.text()).length).toBeGreaterThan(100_000)
  })
})
