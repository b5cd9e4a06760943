import { gzipSync } from 'node:zlib'
import { figure } from '@aduana/contracts/figures'
import type { Job } from '@aduana/contracts/jobs'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion\n'
const good = (n: number) => `2024-05-01;M001;W0001;1;PVC;L${n};1;1;\n`
const file = (count: number, line: (n: number) => string) =>
  HEADER + Array.from({ length: count }, (_, n) => line(n)).join('')
const lines = (ndjson: string) => ndjson.trimEnd().split('\n')

let system: TestSystem
let worker: ProductProcess
beforeAll(async () => {
  system = await createTestSystem()
  worker = await system.startWorker({ LOG_LEVEL: 'debug' })
}, 120_000)
afterAll(() => system.close())

const send = (content: string | Buffer, form: Record<string, string> = {}): Promise<Job> =>
  system.import(content, { dataset: 'production', ...form })

/** Returns the tasks of a job and their engines, in order. */
function engineTasks(jobId: string): string[] {
  return worker.lines
    .filter((line) => line.includes('"msg":"engine task"') && line.includes(`"folder":"${jobId}-`))
    .map((line) => {
      const { engine, type } = JSON.parse(line)
      return `${engine} ${type}`
    })
}

/** Returns the bytes that a job keeps besides its original: those of files, and of rows in the database. */
async function kept(jobId: string): Promise<{ files: number; rows: number; rowBytes: number }> {
  const { rows } = await system.database.pool.query(
    `select (select coalesce(sum(bytes), 0) from artifacts where job_id = $1 and name <> 'original')::int as files,
       count(*)::int as rows, coalesce(sum(pg_column_size(q.*)), 0)::int as "rowBytes"
     from quarantined_records q where job_id = $1`,
    [jobId],
  )
  return rows[0]
}

describe('a malicious file', { timeout: 120_000 }, () => {
  test('is not read further once it has too many rejects, reports how far it was read, and keeps the first rejects', async () => {
    const content = file(400_000, (n) => `bad ${n}\n`)
    const job = await send(gzipSync(content))
    expect(job).toMatchObject({
      status: 'FAILED',
      counts: { records: null, loaded: null, quarantined: 10_000 },
      error: { code: 'too_many_rejects', stage: 'parse', readToEnd: false, kept: 10_000 },
    })
    const { records, rejected, readBytes, detail } = job.error ?? { code: '', detail: '' }
    expect(records).toBe(rejected)
    expect(Number(records)).toBeLessThan(200_000)
    expect(Number(readBytes)).toBeLessThan(content.length / 2)
    expect(detail).toContain(
      `${figure(Number(rejected))} of its first ${figure(Number(records))} records (${figure(Number(readBytes))} bytes, unpacked)`,
    )
    const rejects = lines(await system.artifact(job.id, 'rejects.ndjson'))
    expect(rejects).toHaveLength(10_000)
    expect(JSON.parse(rejects.at(-1) ?? '')).toMatchObject({
      record: 10_000,
      raw: 'bad 9999',
      reasons: [{ code: 'missing_columns' }],
    })
    const { files, rows, rowBytes } = await kept(job.id)
    expect(rows).toBe(10_000)
    expect(files).toBeLessThan(content.length / 10)
    expect(rowBytes).toBeLessThan(content.length)
    const stages = await system.database.pool.query('select stage from stage_results where job_id = $1', [
      job.id,
    ])
    expect(stages.rows).toEqual([{ stage: 'parse' }])
  })

  test('that only breaks rules keeps the first of its rejects', async () => {
    const content = file(100_000, () => 'x;;;;;;;;\n')
    const job = await send(content)
    expect(job).toMatchObject({
      status: 'FAILED',
      counts: { records: 100_000, quarantined: 100_000 },
      error: { code: 'too_many_rejects', stage: 'quarantine', rejected: 100_000, records: 100_000 },
    })
    const count = Number(job.error?.kept)
    expect(job.error?.detail).toContain(`the first ${figure(count)} rejects are kept`)
    expect(lines(await system.artifact(job.id, 'rejects.ndjson'))).toHaveLength(count)
    const { files, rows, rowBytes } = await kept(job.id)
    expect(rows).toBe(count)
    expect(count).toBeLessThanOrEqual(10_000)
    expect(files).toBeLessThan(content.length)
    expect(rowBytes).toBeLessThan(16 * content.length)
  })

  test('with just the allowed share of rejects is read to its end, and keeps all of them', async () => {
    const content = file(75_000, (n) => (n % 5 === 0 ? 'bad\n' : good(n)))
    const job = await send(gzipSync(content))
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 75_000, loaded: 60_000, quarantined: 15_000 },
    })
    expect(lines(await system.artifact(job.id, 'rejects.ndjson'))).toHaveLength(15_000)
    expect(await kept(job.id)).toMatchObject({ rows: 15_000 })
  })

  test.each([
    [
      'unpacks to far more than its size',
      () => gzipSync(file(1_000_000, () => 'bad line\n')),
      'unreadable_file',
    ],
    ['is packed twice', () => gzipSync(gzipSync(file(1000, good))), 'unreadable_file'],
    [
      'holds one huge cell',
      () => gzipSync(`${HEADER}2024-05-01;${'a'.repeat(8_000_000)}\n`),
      'unreadable_file',
    ],
    ['has a line of a million delimiters', () => `${HEADER}${';'.repeat(999_999)}x\n`, 'too_many_rejects'],
    ['never closes its quotes', () => file(500_000, () => '"a;b\n'), 'too_many_rejects'],
    ['has short lines without end', () => file(2_000_000, () => 'x\n'), 'too_many_rejects'],
    ['has 20,000 columns', () => `${HEADER.trimEnd()}${';c'.repeat(20_000)}\n${good(1)}`, 'file_too_wide'],
  ])('fails and keeps little when it %s', async (_, make, code) => {
    const job = await send(make())
    expect(job).toMatchObject({
      status: 'FAILED',
      error: { code, stage: expect.stringMatching(/^parse$|^quarantine$/) },
    })
    const { files, rows, rowBytes } = await kept(job.id)
    expect(rows).toBeLessThanOrEqual(10_000)
    expect(files).toBeLessThan(200_000)
    expect(rowBytes).toBeLessThan(5_000_000)
  })

  test('never has a task in the engine for small files, which meanwhile executes those of a small file', async () => {
    const same = '2024-05-02;M001;W0001;1;PVC;L;1;1;\n'
    const bombs = [
      gzipSync(file(101_000, () => same)),
      gzipSync(file(120_000, () => 'x\n')),
      Buffer.concat([gzipSync(HEADER), ...Array.from({ length: 3 }, () => gzipSync(same.repeat(40_000)))]),
    ]
    // All declare their days. Otherwise an import waits until the days of earlier ones are known.
    const ids = await Promise.all(
      bombs.map((bomb, n) =>
        system.accept(bomb, { dataset: 'production', from: `2024-06-0${n + 1}`, to: `2024-06-0${n + 2}` }),
      ),
    )
    const small = await send(gzipSync(file(20, (n) => good(n).replace('05-01', '07-01'))), {
      from: '2024-07-01',
      to: '2024-07-02',
    })
    expect(small.status).toBe('COMPLETED')
    expect(engineTasks(small.id)).toContain('small parse')
    expect(engineTasks(small.id).filter((task) => !task.startsWith('small'))).toEqual([])
    for (const id of ids) {
      const job = await system.finished(id, 100_000)
      expect(job.status).not.toBe('CANCELLED')
      expect(engineTasks(id).length).toBeGreaterThan(0)
      expect(engineTasks(id).filter((task) => task.startsWith('small'))).toEqual([])
    }
  })
})
