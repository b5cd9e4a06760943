import { randomUUID } from 'node:crypto'
import { page } from '@aduana/contracts/jobs'
import { MetricRunCompleted } from '@aduana/contracts/metrics/events'
import { Metric, MetricItem, MetricValues } from '@aduana/contracts/metrics/http'
import { MetricRun, MetricRunDetail } from '@aduana/contracts/metrics/http-runs'
import { inTransaction } from '@aduana/db/database'
import { completeRun } from '@aduana/metrics/runs/runner-events'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { beginRun, JSON_BODY, limitTo, tell, writeValues } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

/** What only those who may see company B, or stewards, may come to know. */
const SECRETS = {
  company: 'Company B',
  day: '2026-06-06',
  count: '987654',
  moment: '02:02:02',
  key: 'key-of-b',
  error: 'a row of the other company is wrong',
  metric: 'scoped_hidden',
}
const B = SECRETS.company
const DAY_OF_A = [{ from: '2026-01-05', to: '2026-01-06' }]
const DAY_OF_B = [{ from: SECRETS.day, to: '2026-06-07' }]
const MINE = ['scoped_cells', 'scoped_total', 'scoped_both', 'scoped_above']

let api: TestApi
let admin: TestUser
let steward: TestUser
/** Those who may see company A only. */
let readers: Record<'viewer' | 'operator' | 'in one warehouse', TestUser>
/** The updates that are of company B only. */
const updatesOfB: string[] = []

beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
  steward = await api.addUser('steward')
  readers = {
    viewer: await api.addUser('viewer'),
    operator: await api.addUser('operator'),
    'in one warehouse': await api.addUser('viewer'),
  }
  for (const reader of Object.values(readers)) await limitTo(api, reader, ['A'])
  await api.db
    .updateTable('users')
    .set({ warehouses: ['W1'] })
    .where('id', '=', readers['in one warehouse'].userId)
    .execute()
  await declare()
  await happen()
})
afterAll(() => api.close())

/** A metric of each kind: by company, in total, of a dataset without companies too, and above one that is for stewards. */
async function declare(): Promise<void> {
  const count = (dataset: string) => ({ type: 'aggregate', op: 'count', series: `${dataset}.rows` })
  const metric = (code: string) => ({ type: 'metric', metric: code })
  const sum = (...of: object[]) => ({ type: 'arithmetic', op: 'add', of })
  const put = async (code: string, body: object) => {
    const saved = await admin.ask(`/api/metrics/${code}`, {
      method: 'PUT',
      headers: JSON_BODY,
      body: JSON.stringify({ title: { en: 'T', es: 'T' }, ...body }),
    })
    expect(saved.status, await saved.text()).toBe(201)
  }
  await put('scoped_cells', { expression: count('orders'), grain: 'company' })
  await put('scoped_total', { expression: count('orders') })
  await put('scoped_both', { expression: sum(count('orders'), count('production')) })
  await put(SECRETS.metric, { expression: count('orders'), role: 'steward' })
  await put('scoped_above', { expression: sum(metric(SECRETS.metric), metric('scoped_total')) })
}

async function update(dataset: string, change: Record<string, unknown>): Promise<string> {
  const told = await tell(steward, { eventKey: randomUUID(), dataset, ...change })
  const { id } = Object(await told.json())
  expect(told.status).toBe(202)
  return String(id)
}

async function openRun(metric: string): Promise<string> {
  const { items } = page(MetricRun).parse(
    await (await steward.ask(`/api/runs?metric=${metric}&limit=1`)).json(),
  )
  return String(items[0]?.id)
}

/** Bring a run to its end as its runner would, whatever it needs. */
async function end(id: string, rest: Record<string, unknown>): Promise<void> {
  const at = new Date().toISOString()
  await inTransaction(api.db, (tx) =>
    completeRun(tx, MetricRunCompleted.parse({ runId: id, attempt: 1, at, ...rest })),
  )
}

const success = (rowCount: number, days: object[]) => ({ status: 'succeeded', rowCount, days })

/** Company B changes what company A does too, and something after that, and something by itself. */
async function happen(): Promise<void> {
  const ofB = async (more: Record<string, unknown> = {}) => {
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
    const occurredAt = `${yesterday}T${SECRETS.moment}Z`
    const change = { companies: [B], days: DAY_OF_B, rows: Number(SECRETS.count), occurredAt, ...more }
    updatesOfB.push(await update('orders', { eventKey: `${SECRETS.key}-${updatesOfB.length}`, ...change }))
  }
  // A run waits for the dataset, and B brings it.
  await update('production', { days: DAY_OF_A })
  await ofB()
  await update('orders', { companies: ['A'], days: DAY_OF_A, rows: 11 })
  await ofB()
  for (const metric of ['scoped_cells', SECRETS.metric]) {
    const run = await openRun(metric)
    await beginRun(api.db, run)
    if (metric === 'scoped_cells') await ofB()
    await end(run, { status: 'failed', error: { code: 'broken', detail: SECRETS.error } })
  }
  for (const metric of ['scoped_total', 'scoped_both']) {
    const run = await openRun(metric)
    await beginRun(api.db, run)
    await update('orders', { companies: ['A', B], days: DAY_OF_B, rows: Number(SECRETS.count) })
    await end(run, success(Number(SECRETS.count), DAY_OF_B))
  }
  await writeValues(api.db, 'scoped_cells', [
    ['2026-01-05', 'A', null, 5],
    [SECRETS.day, B, null, Number(SECRETS.count)],
  ])
  await writeValues(api.db, 'scoped_total', [[SECRETS.day, null, null, Number(SECRETS.count)]], {
    sums: true,
  })
  const { id } = await api.db
    .selectFrom('datasets')
    .select('id')
    .where('code', '=', 'orders')
    .executeTakeFirstOrThrow()
  const waiting = { dataset_id: id, days: `{[${SECRETS.day},2026-06-07)}`, rows: SECRETS.count }
  for (const companies of [['A', B], [B]]) {
    const key = companies.length === 1 ? `${SECRETS.key}-loaded` : randomUUID()
    await api.db
      .insertInto('dataset_updates')
      .values({ ...waiting, event_key: key, companies })
      .execute()
  }
}

async function ask(path: string, as: TestUser): Promise<unknown> {
  const answer = await as.ask(path)
  expect([200, 403, 404], path).toContain(answer.status)
  return answer.json()
}

const runsOf = async (as: TestUser) => page(MetricRun).parse(await ask('/api/runs?limit=500', as)).items

/** Every answer about metrics, series and runs that somebody gets, by its address. */
async function everything(as: TestUser): Promise<Map<string, string>> {
  const { items } = page(MetricItem).parse(await ask('/api/metrics?limit=500', as))
  const codes = items
    .map(({ code }) => code)
    .filter((code) => code.startsWith('orders.company') || code.includes('scoped'))
  const runs = await runsOf(as)
  const paths = [
    ...['/api/metrics?limit=500', '/api/runs?limit=500', '/api/series'],
    ...codes.flatMap((code) => [
      ...['', '/values', '/lineage'].map((part) => `/api/metrics/${code}${part}`),
      `/api/data/daily_metrics?metric=${code}&date_range=2026-01-01..2026-12-31`,
      `/api/runs?metric=${code}&limit=500`,
    ]),
    ...runs
      .filter(({ metric }) => codes.includes(metric))
      .flatMap(({ id }) => [`/api/runs/${id}`, `/api/runs/${id}/request`]),
  ]
  const answers = new Map<string, string>()
  for (const path of paths) answers.set(path, JSON.stringify(await ask(path, as)))
  return answers
}

test('everything hidden from a reader of company A is visible to a steward of all companies', async () => {
  const told = [...(await everything(steward)).values()].join()
  expect([...Object.values(SECRETS), ...updatesOfB].filter((secret) => !told.includes(secret))).toEqual([])
})

describe.each(['viewer', 'operator', 'in one warehouse'] as const)('a reader of company A, %s', (who) => {
  test('finds no data of other companies in any response', async () => {
    const secrets = [...Object.values(SECRETS), ...updatesOfB]
    const found: string[] = []
    for (const [path, answer] of await everything(readers[who]))
      for (const secret of secrets) if (answer.includes(secret)) found.push(`${secret} in ${path}`)
    expect(found).toEqual([])
  })

  test('sees the days and figures only of runs of company A', async () => {
    const scope = sql`r.companies <@ array['A'] and (${who !== 'in one warehouse'} or r.warehouses <@ array['W1'])`
    const { rows } = await sql<{ id: string; whole: boolean; row_count: number | null }>`
      select r.id, r.row_count::integer, coalesce(${scope}, false) as whole
      from metric_runs r join metrics m on m.id = r.metric_id
      where m.code = any (${MINE}::text[]) and (r.companies is null or r.companies && array['A'])`.execute(
      api.db,
    )
    const shown = (await runsOf(readers[who])).filter(({ metric }) => MINE.includes(metric))
    const own = rows.map(({ id }) => id)
    expect(own.every((id) => shown.some((run) => run.id === id))).toBe(true)
    for (const { id, whole, row_count } of rows) {
      const run = shown.find((one) => one.id === id)
      expect(run?.rowCount).toBe(whole ? row_count : null)
      expect(run?.days === null).toBe(!whole)
    }
  })

  test('reads when datasets and metrics changed for company A', async () => {
    for (const code of MINE) {
      const { dependencies, freshness, definition } = Metric.parse(
        await ask(`/api/metrics/${code}`, readers[who]),
      )
      const { rows } = await sql<{ last: Date | null; computed: Date | null }>`select
        (select max(occurred_at) from dataset_updates u join datasets d on d.id = u.dataset_id
          where d.code = 'orders' and (companies is null or companies && array['A'])) as last,
        (select r.completed_at from metric_runs r join metrics m on m.id = r.metric_id where m.code = ${code}
          and r.status = 'SUCCEEDED' and (r.companies is null or r.companies && array['A'])
          order by r.created_at desc limit 1) as computed`.execute(api.db)
      const orders = dependencies.datasets.find(({ dataset }) => dataset === 'orders')
      expect(orders?.lastUpdate).toBe(rows[0]?.last?.toISOString())
      expect(freshness.computedAt).toBe(rows[0]?.computed?.toISOString() ?? null)
      expect(definition === null).toBe(code === 'scoped_above')
    }
  })

  test('reads the values of company A', async () => {
    const { items } = MetricValues.parse(await ask('/api/metrics/scoped_cells/values', readers[who]))
    const { rows } = await sql<{ value: string }>`select value::text from daily_metrics
      where metric_name = 'scoped_cells' and company = 'A' order by date`.execute(api.db)
    expect(items.map(({ value }) => ({ value }))).toEqual(rows)
  })

  test('sees that values are incomplete, even because of metrics hidden from the reader', async () => {
    const { completeness } = Metric.parse(await ask('/api/metrics/scoped_above', readers[who]))
    expect(completeness.complete).toBe(false)
    const cells = Metric.parse(await ask('/api/metrics/scoped_cells', readers[who]))
    expect(cells.completeness).toMatchObject({
      complete: false,
      outstanding: expect.arrayContaining([
        expect.objectContaining({
          status: 'FAILED',
          days: null,
          error: { code: 'broken', detail: expect.any(String) },
        }),
      ]),
      notPassedOn: [{ days: null }],
    })
  })
})

test('a run of company A is fully visible to a reader of A', async () => {
  for (const metric of MINE) {
    await sql`update metric_runs set status = 'CANCELLED', completed_at = now(), next_days = null
      where status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT')
        and metric_id = (select id from metrics where code = ${metric})`.execute(api.db)
  }
  const updateId = await update('orders', { companies: ['A'], days: DAY_OF_A, rows: 12 })
  const id = await openRun('scoped_cells')
  await beginRun(api.db, id)
  await end(id, success(7, DAY_OF_A))
  const run = MetricRunDetail.parse(await ask(`/api/runs/${id}`, readers.viewer))
  expect(run).toMatchObject({ days: DAY_OF_A, rowCount: 7, outputDays: DAY_OF_A, companies: ['A'] })
  expect(run.inputs).toMatchObject([{ updateId, days: DAY_OF_A, rows: 12 }])
})

test('a run of a dataset without companies is fully visible to a reader of A', async () => {
  await update('production', { days: DAY_OF_A, rows: 13 })
  const id = await openRun('production.lots')
  const run = MetricRunDetail.parse(await ask(`/api/runs/${id}`, readers.viewer))
  expect(run).toMatchObject({ days: DAY_OF_A, companies: null, inputs: [{ rows: 1 }, { rows: 13 }] })
})
