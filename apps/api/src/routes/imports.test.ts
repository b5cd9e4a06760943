import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { ImportAccepted, Job } from '@aduana/contracts/jobs'
import { Problem } from '@aduana/contracts/problems'
import { openFiles } from '@aduana/testkit/open-files'
import { until } from '@aduana/testkit/until'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { HEADER, importForm, productionFile, rawForm } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

const LIMIT = 300_000
const Alias = z.object({ jobId: z.uuid() })

let api: TestApi
let operator: TestUser
let before: string[]

beforeAll(async () => {
  api = await startApi({ MAX_FILE_SIZE: String(LIMIT), ADUANA_MAX_QUEUED: '40' })
  operator = await api.addUser('operator')
})
afterAll(() => api.close())
beforeEach(async () => {
  before = await api.storedFiles()
})

const send = (body: FormData, path = '/api/imports') => operator.ask(path, { method: 'POST', body })

async function refused(response: Response): Promise<Problem> {
  const problem = Problem.parse(await response.json())
  expect(problem.status).toBe(response.status)
  expect(await api.storedFiles(), 'files left behind').toEqual(before)
  return problem
}

/** Sends the beginning of a request over a bare socket. */
function sendRaw(head: string, body: string): Socket {
  const { port, hostname } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  socket.setEncoding('utf8').write(`${head}\r\n\r\n${body}`)
  return socket
}

const rawHead = (boundary: string, length: number) =>
  [
    'POST /api/imports HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${operator.token}`,
    `Content-Type: multipart/form-data; boundary=${boundary}`,
    `Content-Length: ${length}`,
  ].join('\r\n')

describe('an import', () => {
  test('is stored, accepted with 202, and can be read under its Location', async () => {
    const response = await send(importForm(productionFile()))
    expect(response.status).toBe(202)
    const { id, status } = ImportAccepted.parse(await response.json())
    expect(status).toBe('QUEUED')
    expect(response.headers.get('location')).toBe(`/api/jobs/${id}`)
    const job = Job.parse(await (await operator.ask(`/api/jobs/${id}`)).json())
    expect(job).toMatchObject({ id, type: 'import', status: 'QUEUED', dataset: 'production' })
    expect(job.artifacts).toEqual([expect.objectContaining({ name: 'original' })])
  })

  test('can state the number of records of its file', async () => {
    const { id } = ImportAccepted.parse(
      await (
        await send(importForm(productionFile(), { dataset: 'production', expectedRecords: '0' }))
      ).json(),
    )
    const expected = api.db.selectFrom('imports').select('expected_records').where('job_id', '=', id)
    expect(await expected.executeTakeFirst()).toEqual({ expected_records: '0' })
  })

  test('can have its fields after the file', async () => {
    const form = new FormData()
    form.append('file', new Blob([productionFile()]), 'a.csv')
    form.append('dataset', 'production')
    expect((await send(form)).status).toBe(202)
  })

  test('can be compressed, and empty fields count as absent', async () => {
    const file = new Uint8Array(gzipSync(productionFile()))
    expect((await send(importForm(file, { dataset: 'production', from: '', to: '' }))).status).toBe(202)
  })

  test('keeps the name of its file, whatever it contains, and never uses it as a path', async () => {
    const response = await send(
      importForm(productionFile(), { dataset: 'production' }, '../../etc/mañana "x".csv'),
    )
    const { id } = ImportAccepted.parse(await response.json())
    const download = await operator.ask(`/api/jobs/${id}/artifacts/original`)
    expect(download.headers.get('content-disposition')).toMatch(
      /^attachment; filename="[^"\\/]+"; filename\*=UTF-8''ma%C3%B1ana/,
    )
    expect((await api.storedFiles()).filter((file) => !before.includes(file))).toEqual([
      expect.stringMatching(new RegExp(`/jobs/${id}/accept/0/original$`)),
    ])
  })

  test('is also available under the addresses of the source documents', async () => {
    const response = await send(importForm(productionFile()), '/api/etl/start-process')
    expect(response.status).toBe(202)
    const { jobId } = Alias.parse(await response.json())
    const status = await (await operator.ask(`/api/etl/jobs/${jobId}/status`)).json()
    expect(status).toMatchObject({ jobId, status: 'INICIADO', state: 'QUEUED' })
    const dkt = await send(importForm('a;b\n1;2\n', {}), '/api/jobs/dkt-import')
    expect(dkt.status).toBe(202)
    const job = await operator.ask(`/api/jobs/${Alias.parse(await dkt.json()).jobId}`)
    expect(Job.parse(await job.json()).dataset).toBe('dkt')
  })
})

describe('an upload leaves nothing behind when', () => {
  test('the client disconnects during the upload', async () => {
    const boundary = 'cut'
    const body = rawForm(boundary, productionFile(2000), false)
    const socket = sendRaw(rawHead(boundary, body.length + 100_000), body)
    await until(async () => (await api.storedFiles()).length > before.length, {
      what: 'the upload has begun',
    })
    socket.destroy()
    await until(async () => (await api.storedFiles()).length === before.length, {
      what: 'the upload is gone',
    })
    expect(await api.storedFiles()).toEqual(before)
    await expect.poll(() => openFiles(api.context.settings.ADUANA_DATA_DIR)).toEqual([])
  })

  test('no more data arrives', async () => {
    const impatient = await startApi({ ADUANA_IDLE_SECONDS: '1' })
    try {
      const { token } = await impatient.addUser('operator')
      const body = rawForm('b', productionFile(4000), false)
      for (const sent of [100_000, 40, 0]) {
        const socket = connect(Number(new URL(impatient.url).port), '127.0.0.1')
        let heard = ''
        socket.on('data', (chunk) => {
          heard += chunk.toString('latin1')
        })
        const head = `POST /api/imports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: ${body.length}\r\n\r\n`
        socket.write(head + body.slice(0, sent))
        await once(socket, 'end')
        socket.destroy()
        expect(heard).toMatch(/^HTTP\/1.1 408 .*application\/problem\+json.*"code":"upload_idle"/s)
        expect(heard).toMatch(/connection: close/i)
      }
      expect(await impatient.storedFiles()).toEqual([])
    } finally {
      await impatient.close()
    }
  })

  test('the last boundary is missing', async () => {
    const boundary = 'endless'
    const body = rawForm(boundary, productionFile(100), false)
    const socket = sendRaw(rawHead(boundary, body.length), body)
    const [answer] = await once(socket, 'data')
    socket.destroy()
    expect(answer).toMatch(/^HTTP\/1.1 400/)
    expect(answer).toContain('upload_truncated')
    expect(await api.storedFiles()).toEqual(before)
  })

  test('the file is one byte too large', async () => {
    const file = productionFile(1).padEnd(LIMIT + 1, 'x')
    expect(await refused(await send(importForm(file)))).toMatchObject({
      status: 413,
      code: 'file_too_large',
      maxBytes: LIMIT,
    })
    expect((await send(importForm(file.slice(0, LIMIT)))).status).toBe(202)
  })

  test('the stated length is too large', async () => {
    const file = productionFile(1).padEnd(LIMIT + 3_000_000, 'x')
    expect(await refused(await send(importForm(file)))).toMatchObject({ code: 'file_too_large' })
  })

  test('the file is empty', async () => {
    expect(await refused(await send(importForm('')))).toMatchObject({ status: 400, code: 'empty_file' })
    expect(await refused(await send(importForm(' \r\n\r\n')))).toMatchObject({ code: 'empty_file' })
  })

  test.each(['file', 'dataset'])('the field %s is missing', async (field) => {
    const form = field === 'file' ? importForm(undefined) : importForm(productionFile(), {})
    expect(await refused(await send(form))).toMatchObject({ status: 400, code: 'missing_field', field })
  })

  test('the file is sent as a text field', async () => {
    const form = importForm(undefined)
    form.append('file', productionFile())
    expect(await refused(await send(form))).toMatchObject({ code: 'missing_field', field: 'file' })
  })

  test('the dataset does not exist, named before or after the file', async () => {
    const early = await refused(await send(importForm(productionFile(), { dataset: 'nothing' })))
    expect(early).toMatchObject({ status: 404, code: 'unknown_dataset' })
    expect(early.detail).toContain('production')
    const form = importForm(productionFile(), {})
    form.append('dataset', 'nothing')
    expect(await refused(await send(form))).toMatchObject({ code: 'unknown_dataset' })
  })

  test.each([
    ['an Excel workbook', Buffer.from('504b0304140006000800000021', 'hex'), /zip|xlsx/],
    ['a PDF', Buffer.from('%PDF-1.7 ...'), /PDF/],
    ['an HTML table', Buffer.from('\ufeff<!-- x -->\n<table><tr><td>1</td></tr></table>'), /an HTML table/],
    ['a program', Buffer.from('7f454c4602010100', 'hex'), /ELF/],
  ])('the file is %s, whatever its name', async (_what, bytes, found) => {
    const problem = await refused(await send(importForm(new Uint8Array(bytes), undefined, 'data.csv')))
    expect(problem).toMatchObject({ status: 415, code: 'unsupported_type' })
    expect(problem.detail).toMatch(found)
    expect(problem.detail).toMatch(/CSV/)
  })

  test('the request is not a form, or its form is invalid', async () => {
    const json = await operator.ask('/api/imports', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect(await refused(json)).toMatchObject({ status: 400, code: 'not_multipart' })
    const broken = await operator.ask('/api/imports', {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data' },
      body: 'x',
    })
    expect((await refused(broken)).status).toBe(400)
  })

  test.each([
    ['a field is unknown', { dataset: 'production', color: 'red' }, 'bad_request'],
    ['a field is malformed', { dataset: 'production', from: 'yesterday', to: '2026-01-01' }, 'bad_request'],
    ['it expects half a record', { dataset: 'production', expectedRecords: '1.5' }, 'bad_request'],
    ['it expects fewer records than none', { dataset: 'production', expectedRecords: '-1' }, 'bad_request'],
    ['the window has one end', { dataset: 'production', from: '2026-01-01' }, 'bad_window'],
    ['the window is empty', { dataset: 'production', from: '2026-01-02', to: '2026-01-02' }, 'bad_window'],
  ])('%s', async (_what, fields, code) => {
    expect(await refused(await send(importForm(productionFile(), fields)))).toMatchObject({
      status: 400,
      code,
    })
  })

  test('a field is too long', async () => {
    const form = importForm(productionFile(), { dataset: 'production', delimiter: ';'.repeat(8193) })
    expect(await refused(await send(form))).toMatchObject({
      status: 400,
      code: 'bad_request',
      detail: 'The field "delimiter" is longer than 8192 bytes. Shorten it.',
    })
  })

  test('a field has the name of an object property', async () => {
    const form = importForm(productionFile(), { constructor: 'x', dataset: 'production' })
    expect(await refused(await send(form))).toMatchObject({ status: 400, code: 'bad_request' })
  })

  test('there is a second file', async () => {
    const form = importForm(productionFile())
    form.append('file', new Blob([productionFile()]), 'b.csv')
    expect(await refused(await send(form))).toMatchObject({ status: 400, code: 'bad_request' })
  })
})

describe('an import is refused and leaves nothing behind', () => {
  test('when the same bytes were imported; force imports them again', async () => {
    const file = productionFile()
    const { id } = ImportAccepted.parse(await (await send(importForm(file))).json())
    before = await api.storedFiles()
    expect(await refused(await send(importForm(file)))).toMatchObject({
      status: 409,
      code: 'already_imported',
      jobId: id,
    })
    expect((await send(importForm(file, { dataset: 'production', force: 'true' }))).status).toBe(202)
  })

  test('when an active job holds its window; another window is free', async () => {
    const window = { dataset: 'production', from: '2031-01-01', to: '2031-02-01' }
    const { id } = ImportAccepted.parse(await (await send(importForm(productionFile(), window))).json())
    before = await api.storedFiles()
    const overlapping = { ...window, from: '2031-01-31', to: '2031-02-02' }
    expect(await refused(await send(importForm(productionFile(), overlapping)))).toMatchObject({
      status: 409,
      code: 'window_locked',
      jobId: id,
    })
    const next = { ...window, from: '2031-02-01', to: '2031-02-02' }
    expect((await send(importForm(productionFile(), next))).status).toBe(202)
  })

  test('when its tenant has reached its quota', async () => {
    before = await api.storedFiles()
    await sql`insert into tenant_bytes (tenant, bytes) values ('default', ${2 ** 40})`.execute(api.db)
    try {
      expect(await refused(await send(importForm(`${HEADER}\n${randomUUID()}`)))).toMatchObject({
        status: 507,
        code: 'quota_exceeded',
        maxBytes: 2 ** 40,
      })
    } finally {
      await sql`delete from tenant_bytes where bytes = ${2 ** 40}`.execute(api.db)
    }
  })

  test('when the queue is full', async () => {
    const full = await until(
      async () => {
        const response = await send(importForm(`${HEADER}\n${randomUUID()}`))
        return response.status === 202 ? undefined : response
      },
      { what: 'the queue is full' },
    )
    before = await api.storedFiles()
    expect(full.status).toBe(429)
    expect(Number(full.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused(full)).toMatchObject({ code: 'queue_full' })
  })
})
