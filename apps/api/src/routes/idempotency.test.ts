import { randomUUID } from 'node:crypto'
import { ImportAccepted } from '@aduana/contracts/jobs'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { importForm, productionFile } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let operator: TestUser
let key: string

beforeAll(async () => {
  api = await startApi()
  operator = await api.addUser('operator')
})
afterAll(() => api.close())
beforeEach(() => {
  key = randomUUID()
})

const FIELDS = { dataset: 'production' }
const send = (file: string, fields: Record<string, string> = FIELDS, path = '/api/imports', as = operator) =>
  as.ask(path, {
    method: 'POST',
    body: importForm(file, fields),
    headers: { 'idempotency-key': key },
  })
const jobs = async () => (await api.db.selectFrom('jobs').select('id').execute()).length
const accepted = async (response: Response) => {
  expect(response.status).toBe(202)
  return ImportAccepted.parse(await response.json())
}
const replayed = (response: Response) => response.headers.get('idempotency-replayed')

describe('an import with an Idempotency-Key', () => {
  test('sent again gets the first response and leaves no file', async () => {
    const file = productionFile()
    const first = await send(file)
    const { id } = await accepted(first)
    expect(replayed(first)).toBeNull()
    const [files, count] = [await api.storedFiles(), await jobs()]
    const second = await send(file)
    expect(await accepted(second)).toEqual({ id, status: 'QUEUED' })
    expect(replayed(second)).toBe('true')
    expect(second.headers.get('location')).toBe(`/api/jobs/${id}`)
    expect([await api.storedFiles(), await jobs()]).toEqual([files, count])
  })

  test('sent fifty times at once is one job with one file', async () => {
    const [files, count] = [(await api.storedFiles()).length, await jobs()]
    const file = productionFile()
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(file)))
    const ids = await Promise.all(answers.map(async (answer) => (await accepted(answer)).id))
    expect(new Set(ids).size).toBe(1)
    expect(answers.filter((answer) => replayed(answer) === null)).toHaveLength(1)
    expect([(await api.storedFiles()).length, await jobs()]).toEqual([files + 1, count + 1])
  })

  test('is the same with the fields in another order, and with explicit defaults', async () => {
    const file = productionFile()
    const { id } = await accepted(await send(file))
    const said = { onConflict: 'reject', force: 'false', priority: '0', from: '', ...FIELDS }
    expect((await accepted(await send(file, said))).id).toBe(id)
  })

  test.each([
    ['another file', () => send(productionFile())],
    ['another field', (file: string) => send(file, { ...FIELDS, priority: '3' })],
    ['another address', (file: string) => send(file, FIELDS, '/api/etl/start-process')],
  ])('and %s is refused', async (_, again) => {
    const file = productionFile()
    await accepted(await send(file))
    const files = await api.storedFiles()
    const response = await again(file)
    expect(response.status).toBe(422)
    expect(Problem.parse(await response.json()).code).toBe('idempotency_key_reused')
    expect(await api.storedFiles()).toEqual(files)
  })

  test('of another user is another import', async () => {
    const other = await api.addUser('operator')
    const first = await accepted(await send(productionFile()))
    const second = await accepted(await send(productionFile(), FIELDS, '/api/imports', other))
    expect(second.id).not.toBe(first.id)
  })

  test('that was refused can be sent again with the same key', async () => {
    const file = productionFile()
    const { id } = ImportAccepted.parse(
      await (await operator.ask('/api/imports', { method: 'POST', body: importForm(file) })).json(),
    )
    const refused = await send(file)
    expect(refused.status).toBe(409)
    expect(Problem.parse(await refused.json())).toMatchObject({ code: 'already_imported', jobId: id })
    expect((await send(file, { ...FIELDS, force: 'true' })).status).toBe(202)
  })

  test('gets the same response under the older names, too', async () => {
    const file = productionFile()
    const [first, second] = [
      await send(file, FIELDS, '/api/etl/start-process'),
      await send(file, FIELDS, '/api/etl/start-process'),
    ]
    const body = Object(await first.json())
    expect(body.jobId).toBe(body.id)
    expect(await second.json()).toEqual(body)
    expect(replayed(second)).toBe('true')
  })

  test.each(['', 'x'.repeat(256), 'two words', 'señal'])('must be valid: %j', async (bad) => {
    const response = await operator.ask('/api/imports', {
      method: 'POST',
      body: importForm(productionFile()),
      headers: { 'idempotency-key': bad },
    })
    expect(response.status).toBe(400)
    expect(Problem.parse(await response.json())).toMatchObject({ code: 'bad_request' })
  })
})

test('a repeated import gets its response even if the queue is full', async () => {
  const small = await startApi({ ADUANA_MAX_QUEUED: '2', ADUANA_MAX_QUEUED_PER_TENANT: '1' })
  try {
    const somebody = await small.addUser('operator')
    const file = productionFile()
    const { id } = await accepted(await send(file, FIELDS, '/api/imports', somebody))
    const full = await somebody.ask('/api/imports', { method: 'POST', body: importForm(productionFile()) })
    expect(full.status).toBe(429)
    expect(Problem.parse(await full.json())).toMatchObject({ code: 'queue_full', limit: 'tenant' })
    expect((await accepted(await send(file, FIELDS, '/api/imports', somebody))).id).toBe(id)
  } finally {
    await small.close()
  }
})
