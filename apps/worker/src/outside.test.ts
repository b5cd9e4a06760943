import { isDeepStrictEqual } from 'node:util'
import { gzipSync } from 'node:zlib'
import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import { inTransaction } from '@aduana/db/database'
import { undoImport } from '@aduana/jobs/undo/undo-import'
import { cancelRun } from '@aduana/metrics/runs/manual'
import {
  type Announcing,
  createOutsideSystem,
  type OutsideSystem,
  outsideMetric,
  type Result,
  twiceMetric,
} from '@aduana/testkit/outside'
import { createTestS3, type TestS3 } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { metricsOf, productionFile } from './testing/metrics.ts'

vi.setConfig({ testTimeout: 120_000 })

const GOOD: readonly Result[] = [
  ['2024-01-01', '10.50'],
  ['2024-01-02', '-3'],
]
const production = (...pieces: [number, number]) =>
  productionFile(['2024-01-01', pieces[0]], ['2024-01-02', pieces[1]])

let s3: TestS3
let outside: OutsideSystem
let metrics: ReturnType<typeof metricsOf>
/** One installation for all tests; each test has its own metric. */
beforeAll(async () => {
  s3 = await createTestS3()
  outside = await createOutsideSystem(s3)
  metrics = metricsOf(outside.system)
  await outside.system.startWorker()
})
afterAll(async () => {
  await outside.close()
  await s3.stop()
})

let metric = ''
let count = 0
let request: MetricRunRequest
beforeEach(async () => {
  count += 1
  metric = `outside.m${count}`
  await outside.save(outsideMetric(metric), twiceMetric(metric))
  await outside.system.import(production(count, count), { dataset: 'production' })
  request = await outside.runner.next(metric)
})

const run = async () => {
  const [row] = await metrics.query(
    'select r.*, r.output_days::text as output_days from metric_runs r where r.id = $1',
    [request.runId],
  )
  return row
}
const untilRun = (status: string) =>
  until(async () => (await run()).status === status && (await run()), {
    within: 60_000,
    what: `the run is ${status}`,
  })
const importOf = async () => {
  const [job] = await metrics.query(
    'select * from jobs where id = (select job_id from metric_runs where id = $1)',
    [request.runId],
  )
  return job
}
const untilValues = (code: string, wanted: Record<string, number>) =>
  until(async () => isDeepStrictEqual(await metrics.values(code), wanted), {
    within: 60_000,
    what: `${code} has its values`,
  })

describe('a metric with an external runner', () => {
  test('has the values of its result files, and dependent metrics are updated', async () => {
    const { runner } = outside
    expect(request).toMatchObject({ metric, attempt: 1, runner: 'external' })
    await runner.started(request)
    await runner.heartbeat(request, 0.5)
    await untilRun('RUNNING')
    await runner.announce(request, { files: [GOOD.slice(0, 1), GOOD.slice(1)] })
    expect(await untilRun('SUCCEEDED')).toMatchObject({
      row_count: '2',
      output_days: '{[2024-01-01,2024-01-03)}',
    })
    expect(await metrics.values(metric)).toEqual({ '2024-01-01': 10.5, '2024-01-02': -3 })
    await untilValues(`${metric}_twice`, { '2024-01-01': 21, '2024-01-02': -6 })
    expect(await importOf()).toMatchObject({ status: 'COMPLETED', records: '2', loaded: '2' })
    const names = await metrics.query('select name from artifacts where job_id = $1 and downloadable', [
      (await run()).job_id,
    ])
    expect(names.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['manifest.json', 'original', 'rejects.ndjson']),
    )
  })

  test('imports compressed files, also without a line break at the end', async () => {
    await outside.runner.announce(request, { files: [GOOD.slice(0, 1), GOOD.slice(1)], pack: gzipSync })
    await untilRun('SUCCEEDED')
    expect(await metrics.values(metric)).toEqual({ '2024-01-01': 10.5, '2024-01-02': -3 })
  })

  test('loses the values of days that are missing from new results', async () => {
    const { runner, system } = outside
    await runner.announce(request, { files: [GOOD] })
    await untilRun('SUCCEEDED')
    await system.import(production(600, 800), { dataset: 'production' })
    request = await runner.next(metric)
    await runner.announce(request, { files: [[]] })
    await untilRun('SUCCEEDED')
    expect(await metrics.values(metric)).toEqual({})
    await untilValues(`${metric}_twice`, {})
  })

  test('applies results once, however often and late its runner sends them', async () => {
    const { runner } = outside
    const completed = await runner.announce(request, { files: [GOOD] })
    // The first message that is consumed counts, and a queue delivers in any order.
    await until(async () => (await importOf()) !== undefined, { what: 'its results are announced' })
    await Promise.all([runner.again(completed), runner.again(completed), runner.failed(request, 'too late')])
    await untilRun('SUCCEEDED')
    await Promise.all([runner.again(completed), runner.started(request), runner.heartbeat(request, 0.1)])
    await until(async () => (await outside.messaging.size(outside.messaging.queueUrl)) === 0, {
      what: 'all messages are taken in',
    })
    expect(await run()).toMatchObject({ status: 'SUCCEEDED', progress: '1.0000' })
    expect(
      await metrics.query(`select count(*)::int as imports from imports where manifest ->> 'runId' = $1`, [
        request.runId,
      ]),
    ).toEqual([{ imports: 1 }])
  })

  test('fails with the reason that its runner sends', async () => {
    await outside.runner.failed(request, 'no licence')
    expect(await untilRun('FAILED')).toMatchObject({ error: { code: 'no_luck', detail: 'no licence' } })
  })

  test('keeps its values when a run is cancelled while its results are imported', async () => {
    const { runner, system } = outside
    // The import waits, because another job holds its days.
    const client = await system.database.pool.connect()
    await client.query('begin; lock table metric_result in access exclusive mode')
    await runner.announce(request, { files: [GOOD] })
    await until(async () => (await importOf())?.stage === 'load', { what: 'the results are to be loaded' })
    await inTransaction(system.database.db, (tx) => cancelRun(tx, request.runId, null))
    await client.query('rollback')
    client.release()
    await until(async () => (await importOf()).status === 'COMPLETED', { what: 'the import has ended' })
    expect((await importOf()).message).toContain('the values of the metric are unchanged')
    expect((await run()).status).toBe('CANCELLED')
    expect(await metrics.values(metric)).toEqual({})
  })

  test('has results that users cannot retry, undo or upload', async () => {
    const { runner, system } = outside
    await runner.announce(request, { files: [GOOD] })
    const { job_id: id } = await untilRun('SUCCEEDED')
    const refused = (work: Promise<unknown>) => expect(work).rejects.toMatchObject({ code: 'belongs_to_run' })
    const context = { db: system.database.db, maxQueued: 100 }
    await refused(undoImport(context, system.admin, id, { unwind: false }))
    await refused(system.accept('metric,date,value', { dataset: 'metric_results' }))
    await runner.announce(request, { files: [GOOD] })
  })
})

const WRONG: [what: string, announcing: Partial<Announcing>, code: string, part: string][] = [
  [
    'a manifest with another checksum',
    { pointer: ({ url }) => ({ url, sha256: '0'.repeat(64) }) },
    'checksum_mismatch',
    'its SHA-256 is',
  ],
  [
    'a file with another checksum',
    { damage: (content) => Buffer.from(content.toString().replace('10.50', '10.51')) },
    'checksum_mismatch',
    'part-0.csv differs from what was announced: its SHA-256 is',
  ],
  [
    'a file of another size',
    { damage: (content) => content.subarray(0, -1) },
    'checksum_mismatch',
    'bytes instead of',
  ],
  [
    'a manifest that is not there',
    { pointer: ({ url, sha256 }) => ({ url: `${url}x`, sha256 }) },
    'source_refused',
    'manifest.jsonx',
  ],
  [
    'a manifest of another run',
    { manifest: (manifest) => ({ ...manifest, attempt: 7 }) },
    'manifest_invalid',
    'attempt is 7',
  ],
  ['a manifest of another form', { manifest: () => ({ files: 'none' }) }, 'manifest_invalid', 'files'],
  ['fewer rows than the event says', { rowCount: 3 }, 'manifest_invalid', 'The files have 2 rows'],
  [
    'fewer rows than the manifest says',
    {
      rowCount: 3,
      manifest: (manifest) => ({
        ...manifest,
        rowCount: 3,
        files: manifest.files.map((file) => ({ ...file, rows: 3 })),
      }),
    },
    'record_count_differs',
    'The file has 2 records, but expectedRecords (--expect-records) is 3',
  ],
  [
    'files with different headers',
    {
      files: [GOOD.slice(0, 1), GOOD.slice(1)],
      header: (index) =>
        index === 0 ? 'metric,date,company,warehouse,value' : 'metric,date,value,company,warehouse',
    },
    'manifest_invalid',
    'part-1.csv has the header',
  ],
  [
    'a day that was not announced',
    { files: [[...GOOD, ['2024-02-01', '1']]] },
    'too_many_rejects',
    '1 of 3 records',
  ],
  [
    'a compressed file that was cut off before it was announced',
    { pack: (text) => gzipSync(text).subarray(0, -9) },
    'unreadable_file',
    'part-0.csv cannot be unpacked',
  ],
  [
    'a compressed file that has other bytes after its compressed data',
    { pack: (text) => Buffer.concat([gzipSync(text), Buffer.alloc(64), gzipSync(text)]) },
    'unreadable_file',
    'part-0.csv cannot be unpacked: the gzip file has other bytes after its compressed data',
  ],
  [
    'a value that is no number',
    { files: [[['2024-01-01', 'much']]] },
    'too_many_rejects',
    'The only record was rejected',
  ],
]

describe('results that differ from their announcement', () => {
  test.each(WRONG)(
    '%s: the run fails, and its values stay as they were',
    async (_, announcing, code, part) => {
      await outside.runner.announce(request, { files: [GOOD], ...announcing })
      const failed = await untilRun('FAILED')
      expect(failed.error).toMatchObject({
        code: 'results_not_loaded',
        detail: expect.stringContaining(part),
      })
      expect(await importOf()).toMatchObject({ status: 'FAILED', error: { code } })
      expect(await metrics.values(metric)).toEqual({})
      expect(await metrics.query('select * from metric_result where metric = $1', [metric])).toEqual([])
    },
  )

  test.each([
    ['of another grain', [['2024-01-01', '1', 'ACME']], 'without company and warehouse'],
    ['twice for one cell', [...GOOD, ['2024-01-01', '1']], 'some occur more than once'],
  ] as [string, Result[], string][])(
    'values %s do not become values of the metric',
    async (_, results, part) => {
      await outside.runner.announce(request, { files: [results] })
      const failed = await untilRun('FAILED')
      expect(failed.error).toMatchObject({
        code: 'results_do_not_fit',
        detail: expect.stringContaining(part),
      })
      expect(await importOf()).toMatchObject({ status: 'COMPLETED' })
      expect(await metrics.values(metric)).toEqual({})
    },
  )
})
