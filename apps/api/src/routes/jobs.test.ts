import { createHash, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { Job, page as pageOf, type StageAttempt } from '@aduana/contracts/jobs'
import { Problem } from '@aduana/contracts/problems'
import { inTransaction } from '@aduana/db/database'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import { openFiles } from '@aduana/testkit/open-files'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importForm, productionFile } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'
import { attachment } from './jobs.ts'

const Jobs = pageOf(Job)

let api: TestApi
let owner: TestUser
let other: TestUser
let admin: TestUser

beforeAll(async () => {
  api = await startApi()
  owner = await api.addUser('operator')
  other = await api.addUser('steward')
  admin = await api.addUser('admin')
})
afterAll(() => api.close())

async function importFile(file = productionFile(), user = owner): Promise<Job> {
  const response = await user.ask('/api/imports', { method: 'POST', body: importForm(file) })
  const location = response.headers.get('location') ?? ''
  return Job.parse(await (await user.ask(location)).json())
}

describe('jobs', () => {
  test('are listed page by page, newest first, each once', async () => {
    const user = await api.addUser('operator')
    const made: string[] = []
    for (let i = 0; i < 5; i++) made.unshift((await importFile(productionFile(), user)).id)
    const listed: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: unknown = await (await user.ask(`/api/jobs?limit=2${cursor && `&cursor=${cursor}`}`)).json()
      const { items, next } = Jobs.parse(page)
      listed.push(...items.map((job) => job.id))
      cursor = next
    }
    expect(listed).toEqual(made)
  })

  test('are filtered, and an invalid filter is named', async () => {
    const user = await api.addUser('operator')
    await importFile(productionFile(), user)
    const count = async (query: string) =>
      Object(await (await user.ask(`/api/jobs?${query}`)).json()).items.length
    expect(await count('status=QUEUED&type=import&dataset=production')).toBe(1)
    expect(await count('status=FAILED')).toBe(0)
    expect(await count('dataset=orders')).toBe(0)
    const refused = await user.ask('/api/jobs?status=SLEEPING')
    expect(Problem.parse(await refused.json())).toMatchObject({ status: 400, errors: [{ field: 'status' }] })
    expect((await user.ask('/api/jobs?cursor=zzz')).status).toBe(400)
    expect((await user.ask('/api/jobs?limit=501')).status).toBe(400)
    expect((await user.ask('/api/jobs?colour=red')).status).toBe(400)
  })

  test('of another user are hidden on every route; an admin sees them', async () => {
    const job = await importFile()
    const document = Object(await (await fetch(`${api.url}/docs/json`)).json())
    const paths = Object.entries<Record<string, unknown>>(document.paths).filter(([path]) =>
      path.includes('{id}'),
    )
    expect(paths.length).toBeGreaterThan(4)
    for (const [path, methods] of paths)
      for (const method of Object.keys(methods)) {
        const url = path.replace('{id}', job.id).replace('{name}', 'original')
        const response = await other.ask(url, { method: method.toUpperCase() })
        expect(response.status, `${method} ${path}`).toBe(404)
        expect(Problem.parse(await response.json()).code).toBe('not_found')
      }
    expect((await admin.ask(`/api/jobs/${job.id}`)).status).toBe(200)
    const list = await (await other.ask('/api/jobs')).text()
    expect(list).not.toContain(job.id)
  })

  test('that wait are cancelled at once, and only once', async () => {
    const job = await importFile()
    const cancelled = await owner.ask(`/api/jobs/${job.id}/cancel`, { method: 'POST' })
    expect(Job.parse(await cancelled.json()).status).toBe('CANCELLED')
    const again = await owner.ask(`/api/jobs/${job.id}/cancel`, { method: 'POST' })
    expect(Problem.parse(await again.json())).toMatchObject({ status: 409, code: 'illegal_transition' })
  })

  test('with an invalid id are refused, those that do not exist are not found', async () => {
    expect((await owner.ask('/api/jobs/one')).status).toBe(400)
    expect((await owner.ask(`/api/jobs/${randomUUID()}`)).status).toBe(404)
  })
})

describe('a file of a job', () => {
  test('is downloaded unchanged, as an attachment that cannot be cached', async () => {
    const file = productionFile(20_000)
    const job = await importFile(file)
    const response = await owner.ask(`/api/jobs/${job.id}/artifacts/original`)
    const sha256 = createHash('sha256').update(file).digest('hex')
    expect(await response.text()).toBe(file)
    expect(response.headers.get('etag')).toBe(`"${sha256}"`)
    expect(response.headers.get('content-length')).toBe(String(file.length))
    expect(response.headers.get('content-disposition')).toContain('attachment; filename="production.csv"')
    expect(response.headers.get('cache-control')).toContain('no-store')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const same = await owner.ask(`/api/jobs/${job.id}/artifacts/original`, {
      headers: { 'if-none-match': `"${sha256}"` },
    })
    expect(same.status).toBe(304)
    expect((await owner.ask(`/api/jobs/${job.id}/artifacts/nothing`)).status).toBe(404)
    expect((await owner.ask(`/api/jobs/${job.id}/artifacts/..%2F..%2Fstore-id`)).status).toBe(400)
  })

  test('is downloaded uncompressed if it is stored compressed, with the length and the checksum of its content', async () => {
    const job = await importFile()
    const content = '{"record":1}\n'.repeat(100_000)
    const contentSha256 = createHash('sha256').update(content).digest('hex')
    const key = `jobs/${job.id}/validate/1/rejects.ndjson`
    const stored = await api.context.store.put(key, Readable.from([gzipSync(content)]))
    const ofContent = { content_bytes: content.length, content_sha256: contentSha256 }
    const ofFile = { ...stored, key, name: 'rejects.ndjson', media_type: 'application/x-ndjson', attempt: 1 }
    await api.db
      .insertInto('artifacts')
      .values({ job_id: job.id, ...ofFile, ...ofContent })
      .execute()
    const response = await owner.ask(`/api/jobs/${job.id}/artifacts/rejects.ndjson`)
    expect(await response.text()).toBe(content)
    expect(response.headers.get('etag')).toBe(`"${contentSha256}"`)
    expect(response.headers.get('content-length')).toBe(String(content.length))
    expect(response.headers.get('content-encoding')).toBeNull()
    const shown = Job.parse(await (await owner.ask(`/api/jobs/${job.id}`)).json())
    expect(shown.artifacts).toContainEqual(
      expect.objectContaining({ name: 'rejects.ndjson', bytes: content.length, sha256: contentSha256 }),
    )
  })

  test.each([
    ['as it was sent', (content: Buffer) => content, {}],
    [
      'packed',
      (content: Buffer) => gzipSync(content, { level: 0 }),
      { content_bytes: 32 * 1024 * 1024, content_sha256: 'a'.repeat(64) },
    ],
  ])(
    'that is stored %s is closed when the client disconnects, or requests only the headers',
    async (_how, pack, ofContent) => {
      const job = await importFile()
      const { key } = await api.db
        .selectFrom('artifacts')
        .select('key')
        .where('job_id', '=', job.id)
        .executeTakeFirstOrThrow()
      const bytes = 32 * 1024 * 1024
      const stored = await api.context.store.put(key, Readable.from([pack(Buffer.alloc(bytes))]))
      await api.db
        .updateTable('artifacts')
        .set({ ...stored, ...ofContent })
        .where('job_id', '=', job.id)
        .execute()
      const folder = api.context.settings.ADUANA_DATA_DIR
      const url = `/api/jobs/${job.id}/artifacts/original`
      const leave = new AbortController()
      const response = await owner.ask(url, { signal: leave.signal })
      expect(response.status).toBe(200)
      // It is larger than all buffers on the way: while nobody reads, it stays open.
      expect(await openFiles(folder)).toHaveLength(1)
      leave.abort()
      await expect.poll(() => openFiles(folder), { timeout: 10_000 }).toEqual([])
      expect((await owner.ask(url, { method: 'HEAD' })).status).toBe(200)
      await expect.poll(() => openFiles(folder), { timeout: 10_000 }).toEqual([])
    },
  )

  test('that is missing from the store is not found', async () => {
    const job = await importFile()
    const { key } = await api.db
      .selectFrom('artifacts')
      .select('key')
      .where('job_id', '=', job.id)
      .executeTakeFirstOrThrow()
    await api.context.store.remove(key)
    expect((await owner.ask(`/api/jobs/${job.id}/artifacts/original`)).status).toBe(404)
  })

  test('that was removed is reported as removed, and the job has the time', async () => {
    const job = await importFile()
    const removedAt = '2031-01-02T03:04:05.678Z'
    await api.db
      .updateTable('artifacts')
      .set({ removed_at: removedAt })
      .where('job_id', '=', job.id)
      .execute()
    const response = await owner.ask(`/api/jobs/${job.id}/artifacts/original`)
    expect(response.status).toBe(410)
    expect(await response.json()).toMatchObject({
      code: 'artifact_expired',
      removedAt,
      detail: expect.stringContaining(removedAt),
    })
    const shown = await owner.ask(`/api/jobs/${job.id}`)
    expect(await shown.json()).toMatchObject({ artifacts: [{ name: 'original', removedAt }] })
  })

  test.each([
    ['a"b\\c/d%e.csv', 'a_b_c_d_e.csv', 'a%22b%5Cc%2Fd%25e.csv'],
    ['año nuevo.csv', 'ano nuevo.csv', 'a%C3%B1o%20nuevo.csv'],
    ['報告', 'file', '%E5%A0%B1%E5%91%8A'],
    ["it's (1)*.csv", "it's (1)*.csv", 'it%27s%20%281%29%2A.csv'],
    ['line\r\nbreak', 'linebreak', 'line%0D%0Abreak'],
  ])('is offered under its name in a safe header: %s', (name, ascii, encoded) => {
    expect(attachment(name)).toBe(`attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`)
  })
})

describe('rejects', () => {
  test('are listed in the order of the file, and the report has the reasons', async () => {
    const job = await importFile()
    await storeRejects(job.id, 5)
    const first = Object(await (await owner.ask(`/api/jobs/${job.id}/rejects?limit=3`)).json())
    expect(first.items.map((reject: { record: number }) => reject.record)).toEqual([1, 2, 3])
    const second = Object(
      await (await owner.ask(`/api/jobs/${job.id}/rejects?limit=3&cursor=${first.next}`)).json(),
    )
    expect(second.items.map((reject: { record: number }) => reject.record)).toEqual([4, 5])
    expect(second.next).toBeNull()
    const report = await (await owner.ask(`/api/jobs/${job.id}/report`)).json()
    expect(report).toMatchObject({
      jobId: job.id,
      status: 'QUEUED',
      rejects: [
        { column: 'turno', code: 'too_large', rejects: 5, example: 'must be at most 3', line: 2 },
        {
          column: 'lote',
          code: 'required',
          rejects: 1,
          example: 'the cell is empty; a value is required',
          line: 2,
        },
      ],
      artifacts: [{ name: 'original' }],
    })
  })

  test('of a job have a report that counts processing time, not waiting time', async () => {
    const job = await importFile()
    const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)
    const stageAttempt = (stage: string, from: number, to: number, state: StageAttempt['state']) => ({
      ...{ job_id: job.id, stage, attempt: 1, try: from + 1, state, worker: 'w', started_at: at(from) },
      ...{ finished_at: at(to), lost_because: state === 'lost' ? 'session ended' : null },
    })
    await api.db
      .insertInto('stage_results')
      .values([
        stageAttempt('parse', 0, 2, 'done'),
        stageAttempt('validate', 3, 900, 'lost'),
        stageAttempt('validate', 901, 902, 'failed'),
        stageAttempt('validate', 903, 904, 'done'),
        // The approval took a day.
        stageAttempt('load', 500, 600, 'parked'),
        stageAttempt('load', 601, 700, 'released'),
        stageAttempt('load', 87_000, 87_004, 'done'),
      ])
      .execute()
    const report = async () => (await owner.ask(`/api/jobs/${job.id}/report`)).json()
    expect(await report()).toMatchObject({ seconds: null, rowsPerSecond: null })
    await api.db
      .updateTable('jobs')
      .set({ status: 'CANCELLED', records: '400', started_at: at(0), completed_at: at(87_004) })
      .where('id', '=', job.id)
      .execute()
    expect(await report()).toMatchObject({ seconds: 8, rowsPerSecond: 50 })
  })

  async function storeRejects(jobId: string, count: number): Promise<void> {
    const { dataset_id: datasetId } = await api.db
      .selectFrom('jobs')
      .select('dataset_id')
      .where('id', '=', jobId)
      .executeTakeFirstOrThrow()
    const tooLarge = { column: 'turno', code: 'too_large', message: 'must be at most 3', value: '7' }
    const required = {
      column: 'lote',
      code: 'required',
      message: 'the cell is empty; a value is required',
      value: '',
    }
    for (let record = 1; record <= count; record++)
      await api.db
        .insertInto('quarantined_records')
        .values({
          id: String(2 ** 40 + record),
          job_id: jobId,
          dataset_id: datasetId ?? '',
          record,
          line: record + 1,
          codes: ['too_large'],
          columns: ['turno'],
          reasons: JSON.stringify(record === 1 ? [tooLarge, required] : [tooLarge]),
          raw: '2026-03-02;M001',
        })
        .execute()
  }
})

test('the terms of the source documents reflect the state of the job', async () => {
  const job = await importFile()
  const word = async () => Object(await (await owner.ask(`/api/etl/jobs/${job.id}/status`)).json()).status
  expect(await word()).toBe('INICIADO')
  await inTransaction(api.db, (tx) =>
    changeJob(tx, { jobId: job.id, from: ['QUEUED'] }, { status: 'PROCESSING' }),
  )
  expect(await word()).toBe('PROCESANDO')
  await inTransaction(api.db, (tx) =>
    changeJob(
      tx,
      { jobId: job.id, from: ['PROCESSING'] },
      {
        status: 'FAILED',
        completed_at: new Date(),
        error: JSON.stringify({ code: 'no_records', detail: 'x' }),
      },
    ),
  )
  expect(await word()).toBe('FALLO')
})
