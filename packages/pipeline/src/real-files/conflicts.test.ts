import { gzipSync } from 'node:zlib'
import type { Job } from '@aduana/contracts/jobs'
import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { approve, waiting } from '../testing/approvals.ts'
import { openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const codes = ({ warnings }: Job) => warnings.map(({ code, count }) => [code, count])
const linesOf = async ({ id }: Job, name: string) =>
  (await files.system.artifact(id, name))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
const TEXT = (name: string) => ({ name, type: 'text' as const })
const LOTS = [
  { ...TEXT('lot'), required: true },
  TEXT('machine'),
  { name: 'pieces', type: 'integer' as const },
]

describe('records that agree in what must be unique', () => {
  const FILE = 'lot,machine,pieces\nA,M1,5\nB,M1,1\nA,M2,7\nB,M1, 1\nA,M1,5\nA,M1,\n'

  test('are duplicates if all values are equal, else conflicts, which are counted, reported and stored with their differences', async () => {
    const dataset = await files.dataset(LOTS, { unique: { columns: ['lot'] } })
    const { job, rejects } = await files.import(dataset, FILE)
    expect(job).toMatchObject({
      status: 'COMPLETED',
      message: 'Loaded 2 rows; 0 quarantined, 2 duplicates, 2 conflicts',
      counts: { records: 6, loaded: 2, quarantined: 0, duplicates: 2, conflicts: 2 },
    })
    expect(codes(job)).toEqual([['conflicting_records', 2]])
    expect(job.warnings[0]?.message).toBe(
      '2 records have the same lot as another record, but differ in other columns. The first is in line 4: machine is "M2" here, but "M1" in line 2, which takes precedence. Of such records, the first record takes precedence; the others are in conflicts.ndjson. If another record is right, undo the import if it is loaded, or cancel it if it is waiting. Then correct the file and send it again.',
    )
    expect(rejects).toEqual([])
    expect(await files.rows(dataset)).toEqual([
      { lot: 'A', machine: 'M1', pieces: '5' },
      { lot: 'B', machine: 'M1', pieces: '1' },
    ])
    expect(await linesOf(job, 'conflicts.ndjson')).toMatchObject([
      { record: 1, line: 2, raw: 'A,M1,5', reasons: [{ code: 'kept' }] },
      {
        record: 3,
        line: 4,
        raw: 'A,M2,7',
        reasons: [
          { code: 'conflict', column: 'machine', value: 'M2' },
          {
            code: 'conflict',
            column: 'pieces',
            value: '7',
            message: '"7" here, but "5" in line 2, which takes precedence',
          },
        ],
      },
      {
        record: 6,
        raw: 'A,M1,',
        reasons: [{ code: 'conflict', message: 'no value here, but "5" in line 2, which takes precedence' }],
      },
    ])
    expect((await linesOf(job, 'duplicates.ndjson')).map(({ record }) => record)).toEqual([4, 5])
    expect(job.artifacts.map(({ name }) => name)).toContain('conflicts.ndjson')
  })

  test('are all rejects if the definition allows none of them', async () => {
    const dataset = await files.dataset(LOTS, { unique: { columns: ['lot'], keep: 'none' } })
    const { job, rejects } = await files.import(dataset, FILE)
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 6, loaded: 1, quarantined: 4, duplicates: 1, conflicts: 0 },
    })
    expect(codes(job)).toEqual([['conflicting_records', 4]])
    expect(rejects.map(({ record, raw, reasons }) => [record, raw, reasons[0]?.code])).toEqual([
      [1, 'A,M1,5', 'conflict'],
      [3, 'A,M2,7', 'conflict'],
      [5, 'A,M1,5', 'conflict'],
      [6, 'A,M1,', 'conflict'],
    ])
    expect(await files.rows(dataset)).toEqual([{ lot: 'B', machine: 'M1', pieces: '1' }])
    expect(job.artifacts.map(({ name }) => name)).not.toContain('conflicts.ndjson')
  })

  test('are reported the same way in a dry run', async () => {
    const dataset = await files.dataset(LOTS, { unique: { columns: ['lot'], keep: 'last' } })
    const { job } = await files.import(dataset, FILE, { dryRun: 'true' })
    expect(job.counts).toMatchObject({ records: 6, loaded: 2, duplicates: 1, conflicts: 3 })
    expect(codes(job)).toEqual([['conflicting_records', 3]])
  })

  test('have no warning and no file if there are no conflicts', async () => {
    const dataset = await files.dataset(LOTS, { unique: { columns: ['lot'] } })
    const { job } = await files.import(dataset, 'lot,pieces\nA,5\nB,6\nA, 5\n')
    expect(job).toMatchObject({ warnings: [], counts: { duplicates: 1, conflicts: 0 } })
    expect(job.artifacts.map(({ name }) => name)).not.toContain('conflicts.ndjson')
  })

  test('with rounded lots are not duplicates', async () => {
    const { job } = await files.import('production', realFile('34-scientific.csv'))
    const { records, loaded, unchanged, quarantined, duplicates, conflicts } = job.counts
    if (job.status === 'COMPLETED')
      expect(
        [loaded, unchanged, quarantined, duplicates, conflicts].reduce((sum, n) => (sum ?? 0) + (n ?? 0), 0),
      ).toBe(records)
    expect(duplicates).toBe(0)
    expect(job.status === 'FAILED' || job.warnings.length > 0).toBe(true)
  })
})

describe('an upsert', () => {
  const STOCK = [
    { ...TEXT('item'), required: true },
    { name: 'pieces', type: 'integer' as const },
    { name: 'changed', type: 'date' as const },
  ]
  const upsert = { loadMode: 'upsert' as const, key: ['item'], versionColumn: 'changed' }
  const HEADER = 'item,pieces,changed\n'

  test('loads the last of equal versions with different values, with a warning, and treats older versions as outdated', async () => {
    const dataset = await files.dataset(STOCK, upsert)
    const { job } = await files.import(
      dataset,
      `${HEADER}A,1,2024-01-01\nA,2,2024-01-02\nA,3,2024-01-02\nB,1,\nB,2,\nC,1,2024-01-01\nC,1,2024-01-01\n`,
    )
    expect(job.counts).toMatchObject({ records: 7, loaded: 3, duplicates: 2, conflicts: 2 })
    expect(codes(job)).toEqual([['conflicting_records', 2]])
    expect((await files.rows(dataset)).map(({ item, pieces }) => [item, pieces])).toEqual([
      ['A', '3'],
      ['B', '2'],
      ['C', '1'],
    ])
  })

  test('of a stored row with the same version but different values loads the newer file, with a warning in preview, dry run and result', async () => {
    const dataset = await files.dataset(STOCK, upsert)
    await files.import(dataset, `${HEADER}A,1,2024-01-01\nB,1,2024-01-02\nC,1,2024-01-01\nD,1,\n`)
    const next = `${HEADER}A,2,2024-01-01\nB,2,2024-01-01\nC,2,2024-01-02\nD,2,\nE,1,2024-01-01\n`
    const warning = {
      code: 'same_version',
      count: 2,
      column: 'changed',
      message:
        '2 records have the same version (changed) as the stored row, but other values, for example A. The values of the file take precedence. If the stored values are right, undo the import if it is loaded, or cancel it if it is waiting.',
    }
    const counts = { records: 5, inserted: 1, updated: 3, unchanged: 1, conflicts: 0 }
    const dry = await files.import(dataset, next, { dryRun: 'true' })
    expect(dry.job).toMatchObject({ counts, warnings: [warning] })
    const { preview } = await readPreview(files.system.database.db, files.system.admin, dry.job.id)
    expect(preview.sameVersion).toEqual({ rows: 2, example: 'A' })
    const { job } = await files.import(dataset, next)
    expect(job).toMatchObject({ counts, warnings: [warning] })
    expect((await files.rows(dataset)).map(({ item, pieces }) => [item, pieces])).toEqual([
      ['A', '2'],
      ['B', '1'],
      ['C', '2'],
      ['D', '2'],
      ['E', '1'],
    ])
    expect((await files.import(dataset, `${next}\n`)).job.warnings).toEqual([])
  })
})

describe('an append', () => {
  const CARDS = [
    {
      name: 'day',
      type: 'date' as const,
      required: true,
      formats: ['YYYY-MM-DD' as const, 'DD/MM/YYYY' as const],
    },
    TEXT('worker'),
    { name: 'hours', type: 'decimal' as const, precision: 5, scale: 2 },
  ]
  const byDay = { windowColumn: 'day' }
  const FILE = 'day,worker,hours\n2024-01-05,Ñora,8\n2024-01-06,Ñora,7.5\n2024-01-06,"A, B",\n'
  const SAME: [string, string | Buffer][] = [
    ['other line ends', FILE.replaceAll('\n', '\r\n')],
    ['a byte order mark', `\uFEFF${FILE}`],
    ['compression', gzipSync(FILE)],
    ['UTF-16', Buffer.from(`\uFEFF${FILE}`, 'utf16le')],
    ['Windows-1252', Buffer.from(FILE, 'latin1')],
    ['another delimiter', 'day;worker;hours\n2024-01-05;Ñora;8\n2024-01-06;Ñora;7.5\n2024-01-06;A, B;\n'],
    [
      'other quotes and spellings',
      'day,worker,hours\n05/01/2024,"Ñora"," 8.00"\n2024-01-06,Ñora,7.50\n2024-01-06,"A, B",""\n',
    ],
    [
      'other columns first',
      'hours,day,worker,note\n,2024-01-06,"A, B",x\n8,2024-01-05,Ñora,\n7.5,2024-01-06,Ñora,\n',
    ],
    ['a reject and blank lines', `${FILE}\n\nnot a day,x,1\n`],
  ]

  test.each(SAME)('refuses the rows of an earlier import, also with %s', async (_, content) => {
    const dataset = await files.dataset(CARDS, byDay)
    const first = await files.import(dataset, FILE)
    expect(first.job).toMatchObject({ status: 'COMPLETED', warnings: [] })
    const detail = expect.stringContaining('The file has the same 3 rows as import #')
    const again = await files.import(dataset, content)
    expect(again.job).toMatchObject({
      status: 'FAILED',
      error: { code: 'already_imported', jobId: first.job.id, detail },
    })
    const dry = await files.import(dataset, content, { dryRun: 'true' })
    expect(dry.job).toMatchObject({
      status: 'COMPLETED',
      message: expect.stringMatching(
        /^Dry run: the import would be refused \(already_imported\)\. Nothing was changed\./,
      ),
      warnings: [{ code: 'already_imported', message: detail }],
    })
    expect(await files.rows(dataset)).toHaveLength(3)
    const { job } = await files.import(dataset, content, { force: 'true' })
    expect(job.status).toBe('COMPLETED')
    expect(codes(job)).toEqual([['rows_already_present', 3]])
    expect(await files.rows(dataset)).toHaveLength(6)
  })

  test('accepts the rows of an import that was undone, without a warning', async () => {
    const dataset = await files.dataset(CARDS, byDay)
    const first = await files.import(dataset, FILE)
    expect((await undone(files.system, first.job.id)).status).toBe('COMPLETED')
    const { job } = await files.import(dataset, FILE.replaceAll('\n', '\r\n'))
    expect(job).toMatchObject({ status: 'COMPLETED', warnings: [], counts: { loaded: 3 } })
  })

  test('of the same rows in two concurrent files accepts one and refuses the other, with days and without', async () => {
    for (const more of [byDay, {}]) {
      const dataset = await files.dataset(CARDS, more)
      const ids = await Promise.all(
        SAME.slice(0, 4).map(([, content]) => files.system.accept(content, { dataset })),
      )
      const jobs = await Promise.all(ids.map((id) => files.system.finished(id)))
      const [loaded, ...others] = jobs.sort((a, b) => a.status.localeCompare(b.status))
      expect(loaded).toMatchObject({ status: 'COMPLETED', warnings: [] })
      for (const job of others)
        expect(job).toMatchObject({
          status: 'FAILED',
          error: { code: 'already_imported', jobId: loaded?.id },
        })
      expect(await files.rows(dataset)).toHaveLength(3)
    }
  })

  test.each([
    ['with days', byDay],
    ['without days', {}],
  ])(
    'reports the number of existing rows, with repetitions, in preview, approval and result, %s',
    async (_, more) => {
      const dataset = await files.dataset(CARDS, more)
      await files.import(dataset, FILE)
      const next = `${FILE}2024-01-06,Ñora,7.5\n2024-01-07,Ñora,8\n2024-01-06,Ñora,\n`
      const warning = {
        code: 'rows_already_present',
        count: 3,
        column: null,
        message:
          '3 of 6 rows are already in the table, with the same values in all columns. An append adds such rows again. If that is not wanted, undo the import if it is loaded, or cancel it if it is waiting.',
      }
      const { system } = files
      const dry = await files.import(dataset, next, { dryRun: 'true' })
      expect(dry.job).toMatchObject({ status: 'COMPLETED', warnings: [warning], counts: { loaded: 6 } })
      const id = await system.accept(next, { dataset, requireApproval: 'true' })
      const asked = await waiting(system, id)
      expect(asked.warnings).toEqual([warning])
      expect(asked.message).toContain('insert 6 rows (3 of them are already in the table)')
      const { preview } = await readPreview(system.database.db, system.admin, id)
      expect(preview).toMatchObject({ alreadyPresent: 3, totals: { inserted: 6, unchanged: 0 } })
      await approve(system, id)
      expect(await system.finished(id)).toMatchObject({ status: 'COMPLETED', warnings: [warning] })
      expect(await files.rows(dataset)).toHaveLength(9)
    },
  )

  test('of single equal rows within a file has no warning', async () => {
    const dataset = await files.dataset(CARDS, byDay)
    const { job } = await files.import(dataset, `${FILE}2024-01-05,Ñora,8\n`)
    expect(job).toMatchObject({ status: 'COMPLETED', warnings: [], counts: { loaded: 4 } })
  })
})

test('a replace with the same rows in other bytes loads again without a warning', async () => {
  const dataset = await files.dataset(
    [
      { name: 'day', type: 'date', required: true },
      { name: 'n', type: 'integer' },
    ],
    { loadMode: 'replace-window', windowColumn: 'day' },
  )
  await files.import(dataset, 'day,n\n2024-01-05,1\n')
  const { job } = await files.import(dataset, 'day,n\r\n2024-01-05,1\r\n')
  expect(job).toMatchObject({ status: 'COMPLETED', warnings: [], counts: { loaded: 1, removed: 1 } })
})
