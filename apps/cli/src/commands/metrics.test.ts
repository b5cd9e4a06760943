import { createServer, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Metric, MetricItem, MetricValue, MetricValues } from '@aduana/contracts/metrics/http'
import type { MetricRun } from '@aduana/contracts/metrics/http-runs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { run } from '../program.ts'

const RUN_ID = '0b8f5a2e-5c1c-4d43-9a55-3f2f0c8b6a11'
const AT = '2026-03-10T08:15:30.000Z'
const AWAITED = [{ dataset: 'production', until: '2026-03-17T08:15:30.000Z' }]

let server: Server
let url: string
let asked: string[] = []
let answers: Record<string, unknown> = {}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? ''
    asked.push([request.method, request.url, await text(request)].join(' ').trim())
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers[path]))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
beforeEach(() => {
  asked = []
})

async function aduana(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const code = await run(args, {
    program: 'aduana',
    env: { ADUANA_URL: url, ADUANA_TOKEN: 'a-token' },
    out: (line) => {
      said.out += `${line}\n`
    },
    err: (line) => {
      said.err += line
    },
    columns: () => undefined,
    signal: new AbortController().signal,
  })
  return { code, ...said }
}

const about = {
  code: 'orders.items',
  version: 1,
  title: { en: 'Items', es: 'Ítems' },
  description: '',
  unit: 'items',
  grain: 'company',
  level: 0,
  runner: 'builtin',
  tabs: [],
} satisfies Partial<MetricItem>
const item: MetricItem = {
  ...about,
  freshness: { lastDay: '2026-03-09', computedAt: AT },
  openRun: { id: RUN_ID, status: 'PENDING', waitsFor: AWAITED },
}
const outstanding = [
  {
    runId: RUN_ID,
    metric: 'orders.items',
    status: 'PENDING',
    days: [],
    waitsFor: AWAITED,
    expiresAt: AT,
    error: null,
  },
] satisfies Metric['completeness']['outstanding']
const completeness = { complete: false, outstanding, notPassedOn: [] }
const metric: Metric = {
  ...about,
  definition: {
    code: 'orders.items',
    title: about.title,
    description: '',
    grain: 'company',
    expression: { type: 'constant', value: 1 },
    requiredDays: 7,
    requiredDaysOf: {},
    runner: 'builtin',
    startSeconds: 300,
    heartbeatSeconds: 60,
    tabs: [],
    role: 'viewer',
  },
  rollUp: 'sum',
  dependencies: { datasets: [], series: [], metrics: [], neededBy: [] },
  freshness: {
    ...{ firstDay: '2026-03-01', lastDay: '2026-03-09', days: 9, lastUpdated: AT, computedAt: AT },
    lastRun: null,
  },
  completeness,
  createdAt: AT,
  updatedAt: AT,
}
const value: MetricValue = {
  ...{ date: '2026-03-09', company: 'A', warehouse: null, value: '12.5', lastUpdated: AT },
  ...{ runId: RUN_ID, asOf: '2026-03-10' },
}
const values: MetricValues = {
  ...{ metric: 'orders.items', version: 1, unit: 'items', grain: 'company', asOf: AT, completeness },
  ...{ items: [value], next: null },
}
const failed: MetricRun = {
  ...{ id: RUN_ID, metric: 'orders.items', version: 1, status: 'FAILED', cause: 'update', occurredAt: AT },
  ...{
    asOf: '2026-03-10',
    days: [{ from: '2026-03-08', to: '2026-03-10' }],
    companies: null,
    warehouses: null,
  },
  ...{ attempt: 5, progress: 0, message: '', runner: null, rowCount: null, outputDays: null, waitsFor: [] },
  ...{ error: { code: 'no_sign_of_life', detail: 'Its runner was silent.' }, takenOverBy: null },
  ...{ expiresAt: null, requestedAt: AT, startedAt: null, lastHeartbeatAt: null, retryAt: null },
  ...{ completedAt: AT, createdAt: AT, updatedAt: AT },
}

test('aduana metrics lists them with how fresh they are and what they wait for', async () => {
  answers = { '/api/metrics': { items: [item], next: null } }
  const { code, out } = await aduana('metrics')
  expect(code).toBe(0)
  expect(out).toBe(
    [
      'metric        title  unit   by       level  last day    computed          under way',
      'orders.items  Items  items  company      0  2026-03-09  2026-03-10 08:15  PENDING waits for production until 2026-03-17 08:15\n',
    ].join('\n'),
  )
  expect(asked).toEqual(['GET /api/metrics?limit=500'])
})

test('aduana metrics <code> shows the values of the last days that have some, and what is outstanding', async () => {
  answers = { '/api/metrics/orders.items': metric, '/api/metrics/orders.items/values': values }
  const { out } = await aduana('metrics', 'orders.items')
  expect(out).toBe(
    [
      'orders.items: Items (items)',
      '9 days with values, 2026-03-01 to 2026-03-09, last written 2026-03-10 08:15',
      'outstanding: orders.items PENDING waits for production until 2026-03-17 08:15',
      '',
      'day         company  value  written',
      '2026-03-09  A         12.5  2026-03-10 08:15\n',
    ].join('\n'),
  )
  expect(asked[1]).toBe('GET /api/metrics/orders.items/values?from=2026-02-24&limit=500')
  const range = ['--from', '2026-03-01', '--to', '2026-03-02', '--company', 'A', '--limit', '7', '--json']
  expect(JSON.parse((await aduana('metrics', 'orders.items', ...range)).out)).toEqual({ metric, values })
  expect(asked[3]).toBe(
    'GET /api/metrics/orders.items/values?from=2026-03-01&to=2026-03-02&company=A&limit=7',
  )
})

test('aduana runs lists them with why they failed', async () => {
  answers = { '/api/runs': { items: [failed], next: null } }
  const { out } = await aduana('runs', '--status', 'failed', '--metric', 'orders.items')
  expect(out).toContain('FAILED  update  2026-03-08..2026-03-10          Its runner was silent.')
  expect(asked).toEqual(['GET /api/runs?status=FAILED&metric=orders.items&limit=20'])
  expect((await aduana('runs', '--status', 'done')).code).toBe(1)
})

test('aduana recompute asks for the days and names the run', async () => {
  answers = { '/api/metrics/orders.items/recompute': { id: RUN_ID, status: 'REQUESTED' } }
  const { out } = await aduana('recompute', 'orders.items', '--from', '2026-03-01', '--to', '2026-03-08')
  expect(out).toBe(`run ${RUN_ID}: REQUESTED\n`)
  expect(asked).toEqual(['POST /api/metrics/orders.items/recompute {"from":"2026-03-01","to":"2026-03-08"}'])
  const { code, err } = await aduana('recompute', 'orders.items', '--from', '2026-03-01')
  expect(code).toBe(1)
  expect(err).toContain("required option '--to <day>'")
})
