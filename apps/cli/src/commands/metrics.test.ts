import type { Metric, MetricItem, MetricValue, MetricValues } from '@aduana/contracts/metrics/http'
import type { MetricRun } from '@aduana/contracts/metrics/http-runs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

const RUN_ID = '0b8f5a2e-5c1c-4d43-9a55-3f2f0c8b6a11'
const AT = '2026-03-10T08:15:30.000Z'
const AWAITED = [{ dataset: 'production', until: '2026-03-17T08:15:30.000Z' }]

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())
beforeEach(() => api.forget())

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
    nextDays: [],
    companies: null,
    warehouses: null,
  },
  ...{ attempt: 5, progress: 0, message: '', runner: null, rowCount: null, outputDays: null, waitsFor: [] },
  ...{ error: { code: 'no_sign_of_life', detail: 'Its runner was silent.' }, takenOverBy: null },
  ...{ expiresAt: null, requestedAt: AT, startedAt: null, lastHeartbeatAt: null, retryAt: null },
  ...{ completedAt: AT, createdAt: AT, updatedAt: AT },
}

test('aduana metrics lists them with their freshness and missing datasets', async () => {
  api.answer('/api/metrics', { items: [item], next: null })
  const { code, out } = await api.aduana('metrics')
  expect(code).toBe(0)
  expect(out).toBe(
    [
      'metric        title  unit   by       level  last day    computed          in progress',
      'orders.items  Items  items  company      0  2026-03-09  2026-03-10 08:15  PENDING waits for production until 2026-03-17 08:15\n',
    ].join('\n'),
  )
  expect(api.asked()).toEqual(['GET /api/metrics?limit=500'])
})

test('aduana metrics <code> shows the values of the last days with values, and outstanding runs', async () => {
  api.answer('/api/metrics/orders.items', metric)
  api.answer('/api/metrics/orders.items/values', values)
  const { out } = await api.aduana('metrics', 'orders.items')
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
  expect(api.asked()[1]).toBe('GET /api/metrics/orders.items/values?from=2026-02-24&limit=500')
  const range = ['--from', '2026-03-01', '--to', '2026-03-02', '--company', 'A', '--limit', '7', '--json']
  expect(JSON.parse((await api.aduana('metrics', 'orders.items', ...range)).out)).toEqual({ metric, values })
  expect(api.asked()[3]).toBe(
    'GET /api/metrics/orders.items/values?from=2026-03-01&to=2026-03-02&company=A&limit=7',
  )
})

test('aduana runs lists them with the reasons of failures, and changes since they started', async () => {
  api.answer('/api/runs', { items: [failed], next: null })
  const { out } = await api.aduana('runs', '--status', 'failed', '--metric', 'orders.items')
  expect(out).toContain('FAILED  update  2026-03-08..2026-03-10          Its runner was silent.')
  expect(api.asked()).toEqual(['GET /api/runs?status=FAILED&metric=orders.items&limit=20'])
  const nextDays = [{ from: '2026-03-10', to: '2026-03-11' }]
  api.answer('/api/runs', { items: [{ ...failed, status: 'RUNNING', error: null, nextDays }], next: null })
  expect((await api.aduana('runs')).out).toContain(
    '2026-03-10..2026-03-11 have changed since; the next run computes them',
  )
  expect((await api.aduana('runs', '--status', 'done')).code).toBe(1)
})

test('aduana recompute requests the days and names the run', async () => {
  api.answer('/api/metrics/orders.items/recompute', { id: RUN_ID, status: 'REQUESTED' })
  const { out } = await api.aduana('recompute', 'orders.items', '--from', '2026-03-01', '--to', '2026-03-08')
  expect(out).toBe(`run ${RUN_ID}: REQUESTED\n`)
  expect(api.asked()).toEqual([
    'POST /api/metrics/orders.items/recompute {"from":"2026-03-01","to":"2026-03-08"}',
  ])
  const { code, err } = await api.aduana('recompute', 'orders.items', '--from', '2026-03-01')
  expect(code).toBe(1)
  expect(err).toContain("required option '--to <day>'")
})
