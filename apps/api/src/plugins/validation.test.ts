import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JSON_BODY } from '../testing/metrics.ts'
import { importForm, productionFile } from '../testing/multipart.ts'
import { openSocket } from '../testing/socket.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let admin: TestUser
beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
})
afterAll(() => api.close())

async function refusal(path: string, options: RequestInit = {}): Promise<Problem> {
  return Problem.parse(await (await admin.ask(path, options)).json())
}

const json = (method: string, body: unknown) => ({ method, headers: JSON_BODY, body: JSON.stringify(body) })
const messages = (entries: unknown) =>
  Object.fromEntries(
    Object.values<{ field?: string; path?: string; message: string }>(Object(entries)).map(
      ({ field, path, message }) => [field ?? path, message],
    ),
  )

describe('all errors of a request are reported at once and in plain language', () => {
  test('in its path and its query', async () => {
    const problem = await refusal('/api/jobs/42/rejects?limit=0&page=2')
    expect(problem).toMatchObject({ status: 400, code: 'bad_request' })
    expect(messages(problem.errors)).toEqual({
      id: 'is "42"; expected an id, such as 01890a5d-ac96-774b-bcce-b302099a8057',
      limit: 'is "0"; expected a whole number from 1 to 1000',
      page: 'is not a known field; known fields are cursor, limit',
    })
    expect(problem.detail).toBe(
      '"id" is "42"; expected an id, such as 01890a5d-ac96-774b-bcce-b302099a8057. "limit" is "0"; expected a whole number from 1 to 1000. "page" is not a known field; known fields are cursor, limit.',
    )
    expect(problem.errors).toContainEqual({
      ...{ field: 'limit', found: '"0"', expected: 'a whole number from 1 to 1000' },
      message: 'is "0"; expected a whole number from 1 to 1000',
    })
  })

  test('in a body, or if it is missing', async () => {
    const body = { eventKey: 'k', dataset: 'orders', days: [{ from: '2026-02-30' }], rows: '3' }
    const problem = await refusal('/api/projections', json('POST', body))
    expect(messages(problem.errors)).toMatchObject({
      occurredAt: expect.stringMatching(/^is missing; expected /),
      'days[0].from': 'is "2026-02-30"; expected a day that exists, such as 2026-01-31',
      'days[0].to': 'is missing; expected a day that exists, such as 2026-01-31',
      rows: 'is "3"; expected a whole number of 0 or more',
    })
    const none = await refusal('/api/projections', { method: 'POST' })
    expect(none.detail).toBe('The body is missing; expected an object.')
    const login = await refusal('/api/auth/login', json('POST', { email: 'x', password: 12 }))
    expect(messages(login.errors)).toMatchObject({ password: 'is 12; expected text' })
  })

  test('in a form, also missing fields', async () => {
    const form = importForm(productionFile(), { encoding: 'utf8', priority: 'high' }, 'a.csv')
    form.delete('dataset')
    const problem = await refusal('/api/imports', { method: 'POST', body: form })
    expect(problem).toMatchObject({ code: 'missing_field', field: 'dataset' })
    expect(messages(problem.errors)).toEqual({
      dataset: 'is missing; expected text',
      encoding: expect.stringMatching(/^is "utf8"; expected one of "utf-8", /),
      priority: 'is "high"; it must be a whole number from -100 to 100',
    })
    expect(problem.detail).toMatch(
      /^The field "dataset" is missing from the form\. Send the code of a dataset in this field\. "priority" is "high"; .*"encoding" is "utf8"/,
    )
  })

  test('in a definition of a dataset, and of a metric', async () => {
    const dataset = await refusal(
      '/api/datasets/odd',
      json('PUT', {
        title: 'Odd',
        columns: [
          { name: 'A', type: 'txt' },
          { name: 'b', type: 'decimal' },
        ],
        color: 'red',
      }),
    )
    expect(dataset).toMatchObject({ code: 'invalid_dataset' })
    expect(messages(dataset.problems)).toMatchObject({
      title: 'is "Odd"; expected an object',
      table: 'is missing; expected an object',
      'columns[0].type':
        'is "txt"; expected one of "text", "integer", "decimal", "date", "timestamp", "boolean"',
      'columns[1].precision': 'is missing; expected a whole number from 1 to 38',
      color: expect.stringMatching(/^is not a known field; known fields are code, title, table, /),
    })
    const metric = await refusal(
      '/api/metrics/odd.metric',
      json('PUT', { title: { en: 'a' }, expression: { type: 'sum', of: [] } }),
    )
    expect(messages(metric.problems)).toMatchObject({
      'title.es': 'is missing; expected text',
      'expression.type': expect.stringMatching(/^is "sum"; expected one of "aggregate"/),
    })
  })
})

test('an invalid WebSocket message is answered with what was found and what is expected', async () => {
  const client = await openSocket(api, admin)
  const told: string[] = []
  for (const message of [
    '{',
    '{"type":"subscribe"}',
    '{"type":"dance"}',
    '{"type":"subscribe","topic":"job","id":"7"}',
  ]) {
    client.send(message)
    told.push((await client.receive('error', ({ detail }) => !told.includes(detail))).detail)
  }
  client.socket.close()
  await client.closed
  expect(told).toEqual([
    'The message is not JSON. Send JSON in a text message.',
    expect.stringMatching(/"topic" is missing; expected one of /),
    expect.stringMatching(/"type" is "dance"; expected one of "subscribe", /),
    expect.stringMatching(/"id" is "7"; expected an id/),
  ])
})
