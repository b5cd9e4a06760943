import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ImportAccepted } from '@aduana/contracts/jobs'
import { Problem } from '@aduana/contracts/problems'
import { encodeCursor } from '@aduana/jobs/read/cursor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OPENAPI_FILE } from './openapi-document.ts'
import { JSON_BODY } from './testing/metrics.ts'
import { importForm, productionFile } from './testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from './testing/start-api.ts'

let api: TestApi
let admin: TestUser
beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
})
afterAll(() => api.close())

async function refusal(answer: Promise<Response>): Promise<Problem> {
  const response = await answer
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  return Problem.parse(await response.json())
}

const send = (method: string, path: string, body: unknown) =>
  admin.ask(path, { method, headers: JSON_BODY, body: JSON.stringify(body) })

describe.each(['\0', '\ud800', 'x\udfff'])('text that cannot be stored: %j', (text) => {
  const title = { en: `a ${text}`, es: 'b' }
  const count = { type: 'aggregate', op: 'count', series: 'orders.rows' }

  test.each<[string, string, string, unknown]>([
    ['in the title of a metric', 'PUT', '/api/metrics/odd', { title, expression: count }],
    [
      'in a condition of a metric',
      'PUT',
      '/api/metrics/odd',
      {
        title: { en: 'a', es: 'b' },
        expression: { ...count, where: { op: '=', series: 'orders.status', value: text } },
      },
    ],
    ['in a series', 'PUT', '/api/series/odd.rows', { title, dataset: 'orders', column: null }],
    ['in a dataset', 'PUT', '/api/datasets/odd', { title }],
    [
      'in the key of a projection',
      'POST',
      '/api/projections',
      { eventKey: text, dataset: 'orders', occurredAt: '2026-03-02T10:00:00Z', days: [], rows: 1 },
    ],
    [
      'in the dataset of a projection',
      'POST',
      '/api/projections',
      { eventKey: 'k', dataset: text, occurredAt: '2026-03-02T10:00:00Z', days: [], rows: 1 },
    ],
    ['in the name of a member', 'POST', '/api/jobs/00000000-0000-4000-8000-000000000000/undo', { [text]: 1 }],
    ['in a login', 'POST', '/api/auth/login', { email: 'a@b.co', password: text }],
  ])('%s is refused as a bad request that names the place', async (_, method, path, body) => {
    const problem = await refusal(send(method, path, body))
    expect(problem).toMatchObject({ status: 400, code: 'bad_request' })
    expect(problem.errors).toEqual([
      { field: expect.any(String), message: 'must not contain NUL characters or unpaired surrogates' },
    ])
  })
})

test('a field of a form with NUL in its value or its name is a bad request, and nothing is stored', async () => {
  const before = await api.storedFiles()
  for (const fields of [{ dataset: '\0' }, { dataset: 'production', scope: 'a\0' }, { 'a\0': 'x' }]) {
    const answer = admin.ask('/api/imports', { method: 'POST', ...rawFields(fields) })
    expect(await refusal(answer)).toMatchObject({ status: 400, code: 'bad_request' })
  }
  expect(await api.storedFiles()).toEqual(before)
})

test.each([
  '/api/datasets/%00',
  '/api/datasets/production/windows?scope=%00',
  '/api/jobs?dataset=a%00b',
  '/login?next=%00',
])('an address with NUL is a bad request: %s', async (path) => {
  expect(await refusal(admin.ask(path))).toMatchObject({ status: 400, code: 'bad_request' })
})

describe('a cursor of the right form with wrong values is a bad request', () => {
  const day = '2026-03-02'
  const moment = '2026-03-02T10:00:00.123456Z'
  const uuid = randomUUID()
  test.each<[string, (string | number)[]]>([
    ['/api/jobs', [day, uuid]],
    ['/api/jobs', ['infinity', uuid]],
    ['/api/jobs', ['0000-03-02T10:00:00.123456Z', uuid]],
    ['/api/jobs', ['2026-03-02T10:00:00.123456+23:00', uuid]],
    ['/api/jobs', [moment, 'x']],
    ['/api/runs', ['0000-01-01T00:00:00.000000Z', uuid]],
    ['/api/refused-messages', ['9999999999999999999']],
    ['/api/refused-messages', [1]],
    ['/api/metrics', ['\0']],
    ['/api/metrics/orders.orders/values', ['0000-01-01', '', '']],
    ['/api/metrics/orders.orders/values', [day, '\0', '']],
    ['/api/data/daily_metrics?metric=orders.orders', [day, '', '\ud800']],
    ['/api/data/daily_metrics?metric=orders.orders', ['0000-01-01', '', '']],
    ['/api/datasets/orders/versions', [2 ** 31]],
    ['/api/datasets/orders/versions', [1.5]],
    ['/api/metrics/orders.orders/versions', ['1']],
  ])('%s %j', async (path, position) => {
    const url = `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeCursor(position)}`
    expect(await refusal(admin.ask(url))).toMatchObject({ status: 400, code: 'bad_request' })
  })

  test.each([['1e30'], [1e30], [null], [-1], ['9223372036854775808'], [{}]])(
    'of rejects: %j',
    async (record) => {
      const answer = await admin.ask('/api/imports', { method: 'POST', body: importForm(productionFile()) })
      const { id } = ImportAccepted.parse(await answer.json())
      const cursor = Buffer.from(JSON.stringify([record])).toString('base64url')
      const path = `/api/jobs/${id}/rejects?cursor=${cursor}`
      expect(await refusal(admin.ask(path))).toMatchObject({ status: 400, code: 'bad_request' })
    },
  )
})

describe('a form that cannot be parsed is a bad request', () => {
  const file = '2026'
  test.each<[string, string, string]>([
    [
      'a boundary of 300 characters',
      'b'.repeat(300),
      rawFields({ dataset: 'production' }, 'b'.repeat(300)).body,
    ],
    ['no boundary', '', ''],
    [
      'a field of JSON that is no text',
      'x',
      `--x\r\nContent-Disposition: form-data; name="scope"\r\nContent-Type: application/json\r\n\r\n{"toString":1,"valueOf":1}\r\n--x--\r\n`,
    ],
    ['a field that is called like what every object has', 'x', rawFields({ toString: file }, 'x').body],
    [
      'a header of a part without an end',
      'x',
      `--x\r\nContent-Disposition: form-data; name="a${'a'.repeat(100_000)}`,
    ],
  ])('%s', async (_, boundary, body) => {
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` }
    const problem = await refusal(admin.ask('/api/imports', { method: 'POST', headers, body }))
    expect(problem.status).toBe(400)
    expect(['bad_request', 'upload_truncated', 'missing_field']).toContain(problem.code)
  })
})

test('the name of a file is cut between characters, not within one', async () => {
  const form = importForm(productionFile(), { dataset: 'production' }, `${'a'.repeat(199)}😀.csv`)
  const answer = await admin.ask('/api/imports', { method: 'POST', body: form })
  const { id } = ImportAccepted.parse(await answer.json())
  const { file_name } = await api.db
    .selectFrom('imports')
    .select('file_name')
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow()
  expect(file_name).toBe(`${'a'.repeat(199)}😀`)
})

test.each(['0000-01-01T00:00:00Z', '2026-01-01T00:00:00+23:00', '9999-12-31T00:00:00Z'])(
  'a timestamp outside the range of PostgreSQL is a bad request: %s',
  async (startAt) => {
    const form = importForm(productionFile(), { dataset: 'production', startAt })
    const answer = admin.ask('/api/imports', { method: 'POST', body: form })
    expect(await refusal(answer)).toMatchObject({ status: 400, code: 'bad_request' })
    const values = admin.ask(`/api/metrics/orders.orders/values?updatedSince=${encodeURIComponent(startAt)}`)
    expect(await refusal(values)).toMatchObject({ status: 400, code: 'bad_request' })
  },
)

test.each(['from=0000-01-01', 'from=9999-12-31', 'to=9999-12-31', 'from=0000-02-29&to=0000-03-01'])(
  'days outside the range of data are a bad request of the window ledger: %s',
  async (query) => {
    const answer = admin.ask(`/api/datasets/orders/windows?${query}`)
    expect(await refusal(answer)).toMatchObject({ status: 400, code: 'bad_request' })
  },
)

test('a value that is not a valid JSON number is reported as text', async () => {
  await api.db
    .insertInto('daily_metrics')
    .values({ metric_name: 'orders.orders', date: '2026-03-02', company: 'A', value: '1e400' })
    .execute()
  const path = '/api/data/daily_metrics?metric=orders.orders&date_range=2026-03-01..2026-04-01'
  expect(await refusal(admin.ask(path))).toMatchObject({ status: 422, code: 'value_too_large' })
  const { items } = Object(await (await admin.ask('/api/metrics/orders.orders/values?company=A')).json())
  expect(items).toMatchObject([{ value: `1${'0'.repeat(400)}` }])
})

test('a login page with two targets redirects to the default page', async () => {
  expect((await fetch(`${api.url}/login?next=/a&next=/b`)).status).toBe(200)
  const answer = await fetch(`${api.url}/login`, { method: 'POST', headers: JSON_BODY, body: '[]' })
  expect(answer.status).toBe(401)
})

function rawFields(fields: Record<string, string>, boundary = 'limit') {
  const parts = Object.entries({ ...fields }).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const file = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n${productionFile()}\r\n`
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: `${parts.join('')}${file}--${boundary}--\r\n`,
  }
}

describe('a bad request names what was sent twice:', () => {
  const twice = (name: string) => ({
    status: 400,
    code: 'bad_request',
    errors: [{ field: name, message: 'was sent more than once' }],
  })

  test.each<[string, string, string]>([
    ['dryRun', 'true', 'false'],
    ['dryRun', 'true', 'true'],
    ['dryRun', 'true', ''],
    ['dryRun', '', 'true'],
    ['force', 'false', 'true'],
    ['dataset', 'production', 'production'],
    ['unknown', 'a', 'b'],
  ])('a field of a form, before and after its file: %s=%j and %s', async (name, first, second) => {
    const [files, jobs] = [await api.storedFiles(), await api.db.selectFrom('jobs').select('id').execute()]
    for (const last of [false, true]) {
      const form = new FormData()
      if (name !== 'dataset') form.append('dataset', 'production')
      form.append(name, first)
      if (!last) form.append(name, second)
      form.append('file', new Blob([productionFile()]), 'a.csv')
      if (last) form.append(name, second)
      const answer = admin.ask('/api/imports', { method: 'POST', body: form })
      expect(await refusal(answer)).toMatchObject(twice(name))
    }
    expect(await api.storedFiles()).toEqual(files)
    expect(await api.db.selectFrom('jobs').select('id').execute()).toEqual(jobs)
  })

  test('a parameter of an address, on every route', async () => {
    const document = Object(JSON.parse(await readFile(OPENAPI_FILE, 'utf8')))
    const parameters = Object.entries<Record<string, { parameters?: { in: string; name: string }[] }>>(
      document.paths,
    ).flatMap(([path, { get }]) =>
      (get?.parameters ?? []).filter((one) => one.in === 'query').map(({ name }) => [path, name] as const),
    )
    expect(parameters.length).toBeGreaterThan(20)
    for (const [path, name] of parameters) {
      const address = path.replaceAll(/\{\w+\}/g, randomUUID())
      const problem = await refusal(admin.ask(`${address}?${name}=1&${name}=1`))
      expect({ path, ...problem }).toMatchObject({ path, ...twice(name) })
    }
  })

  test('a member of a JSON body, however deep', async () => {
    const send = (method: string, path: string, body: string) =>
      refusal(admin.ask(path, { method, headers: JSON_BODY, body }))
    const undo = `/api/jobs/${randomUUID()}/undo`
    expect(await send('POST', undo, '{"unwind":false,"unwind":true}')).toMatchObject(twice('unwind'))
    const deep = '{"title":{"en":"a","es":"b","en":"c"}}'
    expect(await send('PUT', '/api/datasets/production', deep)).toMatchObject(twice('en'))
    expect(await send('POST', undo, '{"unwind":')).toMatchObject({ status: 400 })
  })
})

test('a form for an address that names the dataset cannot name another one', async () => {
  const form = importForm(productionFile(), { dataset: 'production' })
  const answer = admin.ask('/api/jobs/dkt-import', { method: 'POST', body: form })
  expect(await refusal(answer)).toMatchObject({
    status: 400,
    code: 'bad_request',
    detail: expect.stringContaining('"dkt", but the form names "production"'),
  })
})
