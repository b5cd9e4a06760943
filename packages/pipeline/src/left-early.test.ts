import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { openFiles } from '@aduana/testkit/open-files'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { collect } from './1-parse/collect.ts'
import { copyToFile } from './4-load/copy-rows.ts'
import { copyImage, readHeader } from './4-load/undo/rows.ts'
import { storeRejects } from './rejects.ts'
import type { ImportFacts, StageJob } from './stage.ts'

let database: TestDatabase
let folder: string
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-left-'))
  return () => rm(folder, { recursive: true, force: true })
})

const allClosed = () => expect.poll(() => openFiles(folder), { timeout: 5000 }).toEqual([])

/** Returns lines that do not compress well, so that a file of them is read in many pieces. */
const lines = (count: number) => Array.from({ length: count }, (_, n) => `${n},${Math.random()}`).join('\n')

describe('a before-image is closed', () => {
  const image = async (content = `id,"a ""name"""\n${lines(200_000)}\n`) => {
    const path = join(folder, 'before.csv.gz')
    await writeFile(path, gzipSync(content))
    return path
  }

  test('once its header has been read, which is where the undo begins', async () => {
    const path = await image()
    expect(await readHeader(path)).toEqual(['id', 'a "name"'])
    await allClosed()
  })

  test('when it is damaged', async () => {
    const path = join(folder, 'before.csv.gz')
    await writeFile(path, lines(100_000))
    await expect(readHeader(path)).rejects.toMatchObject({ code: 'Z_DATA_ERROR' })
    await allClosed()
  })

  test.each([
    ['the undo is stopped', AbortSignal.abort(), 'create temp table back (id text, x text)', 'abort'],
    [
      'the database refuses a row',
      new AbortController().signal,
      'create temp table back (id date, x text)',
      'date',
    ],
  ])('when %s while it is copied', async (_what, signal, create, message) => {
    const path = await image()
    const client = await database.pool.connect()
    try {
      await client.query(create)
      const job = { signal } as StageJob
      const copying = copyImage({ client, job }, 'copy back from stdin (format csv)', path, 200_000)
      await expect(copying).rejects.toThrow(new RegExp(message, 'i'))
      await allClosed()
    } finally {
      client.release(true)
    }
  })
})

test('the file that rows are copied to is closed when the database ends the copy', async () => {
  const client = await database.pool.connect()
  try {
    const broken = 'copy (select 1 / (n - 90000) from generate_series(1, 200000) n) to stdout'
    for (const gzip of [true, false])
      await expect(copyToFile(client, broken, join(folder, 'rows'), { gzip })).rejects.toThrow('division')
    await allClosed()
  } finally {
    client.release()
  }
})

describe('a file of rejects is closed', () => {
  const reject = JSON.stringify({
    record: 1,
    line: 2,
    reasons: [],
    raw: 'x'.repeat(200),
    rawTruncated: false,
  })
  const facts = (quarantineCap: number) =>
    ({
      jobId: '00000000-0000-4000-8000-000000000001',
      importNo: 1,
      datasetId: '00000000-0000-4000-8000-000000000002',
      definition: { quarantineCap },
    }) as ImportFacts

  test.each([
    ['as many as the dataset keeps were stored', reject, 0, undefined, false],
    ['as many as the dataset keeps were stored, and it is packed', reject, 0, undefined, true],
    ['a line is no reject', '{', 10, SyntaxError, false],
    ['a line of a packed one is no reject', '{', 10, SyntaxError, true],
  ])('when %s', async (_what, first, cap, failure, packed) => {
    const path = join(folder, 'rejects.ndjson')
    const content = `${first}\n${`${reject}\n`.repeat(20_000)}`
    await writeFile(path, packed ? gzipSync(content, { level: 0 }) : content)
    const client = await database.pool.connect()
    try {
      const storing = storeRejects(client, facts(cap), path, 10_000_000, new AbortController().signal)
      if (failure === undefined) expect(await storing).toBe(0)
      else await expect(storing).rejects.toThrow(failure)
      await allClosed()
    } finally {
      client.release(true)
    }
  })
})

describe('collecting results', () => {
  const runId = '00000000-0000-4000-8000-00000000000a'
  const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
  const run = { runId, attempt: 1, metric: 'm' }

  /** Returns a job whose results are in `bucket`, by name; a stream is passed on unchanged. */
  function jobWith(bucket: Record<string, Buffer | Readable>, signal: AbortSignal): StageJob {
    const open = async (url: string) => {
      const found = bucket[url]
      return found instanceof Readable
        ? found
        : Readable.from([found ?? Buffer.alloc(0)], { objectMode: false })
    }
    return {
      folder,
      signal,
      report: () => undefined,
      facts: { expectedRecords: null },
      context: { outside: { open, close: () => undefined }, maxUnpackedBytes: 1_000_000_000 },
    } as unknown as StageJob
  }

  function announce(files: { url: string; content: Buffer }[]) {
    const listed = files.map(({ url, content }) => ({
      url,
      sha256: sha256(content),
      bytes: content.length,
      rows: 1,
    }))
    const manifest = Buffer.from(JSON.stringify({ ...run, rowCount: files.length, files: listed }))
    return { manifest, announced: { ...run, url: 's3://bucket/manifest.json', sha256: sha256(manifest) } }
  }

  test('closes what it reads when it is stopped while no bytes arrive', async () => {
    const stop = new AbortController()
    const silent = new Readable({ read: () => undefined })
    const { announced } = announce([])
    const collecting = collect(jobWith({ 's3://bucket/manifest.json': silent }, stop.signal), announced)
    await until(async () => (await openFiles(folder)).length === 1, { what: 'the file is being written' })
    stop.abort()
    await expect(collecting).rejects.toMatchObject({ name: 'AbortError' })
    await expect.poll(() => silent.closed).toBe(true)
    await allClosed()
  })

  test.each([
    ['is damaged', 'unreadable_file', gzipSync(`a,b\n${lines(100_000)}`).fill(0, 5000, 6000)],
    ['has another header', 'manifest_invalid', Buffer.from(`other\n${lines(100_000)}\n`)],
  ])('closes all files when the second %s', async (_what, code, second) => {
    const first = Buffer.from('a,b\n1,2\n')
    const files = [
      { url: 's3://bucket/1.csv', content: first },
      { url: 's3://bucket/2.csv', content: second },
    ]
    const { manifest, announced } = announce(files)
    const bucket = {
      's3://bucket/manifest.json': manifest,
      's3://bucket/1.csv': first,
      's3://bucket/2.csv': second,
    }
    const collecting = collect(jobWith(bucket, new AbortController().signal), announced)
    await expect(collecting).rejects.toMatchObject({ failure: { code } })
    await allClosed()
  })
})
