import { groupRejects } from '@aduana/jobs/read/rejects'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { approve, waiting } from '../testing/approvals.ts'
import { type ColumnInput, openRealFiles, type RealFiles } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const HEADER = 'fecha;maquina;maquinista;turno;lote;cantidad;peso;observacion'
const row = (day: string, lot: string, remark = '') => `${day};M101;W1001;1;${lot};1;1.5;${remark}`
const production = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`
const DAYS = [
  { name: 'day', type: 'date' as const, required: true },
  { name: 'n', type: 'integer' as const },
]
const byDay = { loadMode: 'replace-window' as const, windowColumn: 'day' }
const days = (count: number, day = '2024-05-01') =>
  `day,n\n${Array.from({ length: count }, (_, n) => `${day},${n}\n`).join('')}`

describe('words for null', () => {
  test('of pandas are null in lots, materials and remarks of the shipped datasets', async () => {
    const good = Array.from({ length: 9 }, (_, n) => row('2024-01-05', `L${n}`, ['None', 'NaT', '<NA>'][n]))
    const { job, rejects } = await files.import('production', production(row('2024-01-05', 'nan'), ...good))
    expect(job.counts).toMatchObject({ records: 10, loaded: 9, quarantined: 1, duplicates: 0 })
    expect(rejects[0]?.reasons).toEqual([
      expect.objectContaining({
        column: 'lote',
        code: 'required',
        message: '"nan" is a word for "no value"; a value is required',
      }),
    ])
    expect(job).toMatchObject({ warnings: [], result: { nullWords: [{ column: 'observacion', count: 3 }] } })
  })

  test('that are not declared are reported even if others are declared', async () => {
    const dataset = await files.dataset([{ name: 'a', type: 'text' }], { nullWords: ['NULL'] })
    const { job } = await files.import(dataset, 'a\nnan\nNULL\nx\n')
    expect(job.warnings).toMatchObject([{ code: 'undeclared_null_word', column: 'a', count: 1 }])
  })
})

describe('a dry run of an import that would be refused', () => {
  const first = (text: string) => text.split('. ')[0]

  test('reports that first, in its message and its warnings, for the bytes of a loaded import', async () => {
    for (const [loadMode, more] of [
      ['replace-window', byDay],
      ['append', { ...byDay, loadMode: 'append' as const }],
    ] as const) {
      const dataset = await files.dataset(DAYS, more)
      const content = days(2)
      const loaded = await files.import(dataset, content)
      const { job } = await files.import(dataset, content, { dryRun: 'true' })
      expect([loadMode, job.status, first(job.message)]).toEqual([
        loadMode,
        'COMPLETED',
        'Dry run: the import would be refused (already_imported)',
      ])
      expect(job.warnings).toEqual([
        {
          code: 'already_imported',
          message: `The import would be refused (already_imported). The same bytes were imported into ${dataset} by job ${loaded.job.id} (COMPLETED). To import them again, send force=true (--force).`,
          column: null,
          count: 2,
        },
      ])
    }
  })

  test('does not report it with force, after an undo, or for other bytes', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    const loaded = await files.import(dataset, days(2))
    const told = async (content: string, form = {}) =>
      (await files.import(dataset, content, { dryRun: 'true', ...form })).job.warnings
    expect(await told(days(2), { force: 'true' })).toEqual([])
    expect(await told(days(3))).toEqual([])
    await undone(files.system, loaded.job.id)
    expect(await told(days(2))).toEqual([])
  })

  test('has the warnings of its file after that', async () => {
    const dataset = await files.dataset([...DAYS, { name: 't', type: 'text' }], byDay)
    const content = 'day,t\n2024-05-01,nan\n'
    await files.import(dataset, content)
    const { job } = await files.import(dataset, content, { dryRun: 'true' })
    expect(job.warnings.map(({ code }) => code)).toEqual(['already_imported', 'undeclared_null_word'])
  })
})

describe('advice to send a file again', () => {
  /** The fields that an advice names for the API. */
  const fields = (message = '') =>
    Object.fromEntries(
      (/ with ((?:\w+=\S+ )+)\(--/.exec(message)?.[1] ?? '')
        .trim()
        .split(' ')
        .map((field) => field.split('=')),
    )

  test('for a window that ends too early works when it is followed exactly', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    const content = 'day,n\n2024-06-01,1\n2024-06-02,2\n'
    const { job } = await files.import(dataset, content, { from: '2024-06-01', to: '2024-06-02' })
    expect(job.counts).toMatchObject({ loaded: 1, quarantined: 1 })
    const message = job.warnings[0]?.message
    expect(message).toContain('(--from 2024-06-01 --to 2024-06-03 --force)')
    expect(fields(message)).toEqual({ from: '2024-06-01', to: '2024-06-03', force: 'true' })
    const again = await files.import(dataset, content, fields(message))
    expect(again.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2, quarantined: 0 } })
  })

  test('for an append undoes the import first, so that no row is duplicated', async () => {
    const dataset = await files.dataset(DAYS, { ...byDay, loadMode: 'append' })
    const content = 'day,n\n2024-06-01,1\n2024-06-02,2\n'
    const { job } = await files.import(dataset, content, { from: '2024-06-01', to: '2024-06-02' })
    const message = job.warnings[0]?.message
    expect(message).toContain('undo the import if it is loaded, or cancel it if it is waiting, and send')
    await undone(files.system, job.id)
    const again = await files.import(dataset, content, fields(message))
    expect(again.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2 } })
    expect(await files.rows(dataset)).toHaveLength(2)
  })

  test('needs no force when nothing was loaded', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    const content = 'day,n\n2024-06-02,2\n'
    const { job } = await files.import(dataset, content, { from: '2024-06-01', to: '2024-06-02' })
    expect(job.error).toMatchObject({ code: 'too_many_rejects' })
    expect(fields(job.error?.detail)).toEqual({ from: '2024-06-01', to: '2024-06-03' })
    const again = await files.import(dataset, content, fields(job.error?.detail))
    expect(again.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 } })
  })

  test('in another encoding works', async () => {
    const dataset = await files.dataset([...DAYS, { name: 't', type: 'text' }], byDay)
    const content = Buffer.from('day,t\n2024-06-05,Pe\x96arroya Mu\x96oz\n', 'latin1')
    const { job } = await files.import(dataset, content)
    const [warning] = job.warnings
    expect(warning).toMatchObject({ code: 'encoding_unsure' })
    expect(warning?.message).toMatch(
      /^The encoding is uncertain. The file was read as macintosh. In this encoding,/,
    )
    expect(fields(warning?.message)).toEqual({ encoding: 'windows-1252', force: 'true' })
    const again = await files.import(dataset, content, { encoding: 'macintosh', force: 'true' })
    expect(again.job).toMatchObject({ status: 'COMPLETED', warnings: [], counts: { loaded: 1, removed: 1 } })
  })
})

test('a file that is UTF-8 except for one row is reported with the position of that row', async () => {
  const dataset = await files.dataset([
    { name: 'k', type: 'text' },
    { name: 't', type: 'text' },
  ])
  const content = Buffer.concat([
    Buffer.from('k;t\n1;Muñoz\n2;x\n'),
    Buffer.from('3;Ib\xe1\xf1ez\n', 'latin1'),
    Buffer.from('4;Núñez\n'),
  ])
  const { job } = await files.import(dataset, content)
  const message =
    /^The file is UTF-8 except for 2 bytes\. The first is in line 4 \("Ib��ez"; in windows-1252 "Ibáñez"\)\. Records with such bytes are rejects \(invalid_utf8\)\./
  const invalid = job.warnings.filter(({ code }) => code === 'encoding_unsure')
  expect(invalid.map((warning) => warning.message)).toEqual([expect.stringMatching(message)])
  expect(job.counts).toMatchObject({ loaded: 3, quarantined: 1 })
})

describe('warnings', () => {
  const PAST = /\b(was|were) (loaded|stored|kept|replaced|added)\b|cancel this import|undo it\b/
  const DECIMAL = { name: 'x', type: 'decimal', precision: 9, scale: 3, decimalMark: 'either' } as const
  const KINDS: [code: string, content: string, column: ColumnInput][] = [
    ['ambiguous_decimal_mark', 'x\n"1,234"\n', DECIMAL],
    [
      'ambiguous_day_month',
      'x\n01/02/2024\n03/05/2024\n06/05/2024\n',
      { name: 'x', type: 'date', formats: ['D/M/YYYY', 'YYYY-MM-DD'] },
    ],
    ['undeclared_null_word', 'x\nnan\n', { name: 'x', type: 'text' }],
    [
      'repeated_hour',
      'x\n2024-10-27 02:30:00\n',
      { name: 'x', type: 'timestamp', timeZone: 'Europe/Madrid' },
    ],
  ]

  test.each(KINDS)(
    '%s is true of an import that is loaded, waits, fails, or was a dry run',
    async (code, content, column) => {
      const columns: ColumnInput[] = [column, { name: 'n', type: 'integer' as const, required: true }]
      const dataset = await files.dataset(columns, { maxRejectRatio: 0.2 })
      const [header = '', ...cells] = content.trim().split('\n')
      const good = `${header},n\n${cells.map((cell, n) => `${cell},${n}\n`).join('')}`
      const bad = `${good}${'"",x\n'.repeat(20)}`
      const dry = (await files.import(dataset, good, { dryRun: 'true' })).job
      const id = await files.system.accept(good, { dataset, requireApproval: 'true' })
      const asked = await waiting(files.system, id)
      await approve(files.system, id)
      const loaded = await files.system.finished(id)
      const failed = (await files.import(dataset, bad)).job
      expect([dry, asked, loaded, failed].map(({ status }) => status)).toEqual([
        'COMPLETED',
        'PROCESSING',
        'COMPLETED',
        'FAILED',
      ])
      const messages = [dry, asked, loaded, failed].map(
        (job) => job.warnings.find((warning) => warning.code === code)?.message,
      )
      expect(new Set(messages).size).toBe(1)
      expect(messages[0]).not.toMatch(PAST)
      expect(messages[0]).toContain('undo the import if it is loaded, or cancel it if it is waiting')
    },
  )
})

describe('records that are not loaded because of another one', () => {
  const STOCK = [
    { name: 'item', type: 'text' as const, required: true },
    { name: 'pieces', type: 'integer' as const },
    { name: 'changed', type: 'timestamp' as const, formats: ['ISO8601' as const] },
  ]
  const duplicates = async (dataset: string, content: string) => {
    const { job } = await files.import(dataset, content)
    const text = await files.system.artifact(job.id, 'duplicates.ndjson')
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).reasons[0].message)
  }

  test('are older versions where their version is older, with both versions as they are written', async () => {
    const more = { loadMode: 'upsert', key: ['item'], versionColumn: 'changed' } as const
    const dataset = await files.dataset(STOCK, { ...more, key: ['item'] })
    const content =
      'item,pieces,changed\nA,1,2024-01-01 11:00\nA,2,2024-01-01 12:00\nA,2,2024-01-01T12:00:00\nA,9,\n'
    expect(await duplicates(dataset, content)).toEqual([
      'an older version of record 3 (changed: 2024-01-01 11:00 here, 2024-01-01T12:00:00 there), which takes precedence',
      'the same key as record 3, which takes precedence',
      'an older version of record 3 (changed: empty here, 2024-01-01T12:00:00 there), which takes precedence',
    ])
  })

  test('have the same key in an upsert, or else the same unique columns', async () => {
    const content = 'item,pieces\nA,1\nA,1\n'
    const upsert = await files.dataset(STOCK, { loadMode: 'upsert', key: ['item'] })
    expect(await duplicates(upsert, content)).toEqual(['the same key as record 2, which takes precedence'])
    const append = await files.dataset(STOCK, { unique: { columns: ['item'] } })
    expect(await duplicates(append, content)).toEqual([
      'the same unique columns as record 1, which takes precedence',
    ])
  })

  test('none of which is loaded are reported once', async () => {
    const dataset = await files.dataset(STOCK, { unique: { columns: ['item'], keep: 'none' } })
    const { job } = await files.import(dataset, 'item,pieces\nA,5\nA,7\nB,1\n')
    expect(job.warnings[0]?.message).toBe(
      '2 records have the same item as another record, but differ in other columns. The first is in line 2: pieces is "5" here, but "7" in line 3; none of them is loaded. Such records are rejects (conflict). Keep only one of them in the file.',
    )
  })
})

describe('an import that fails', () => {
  const READ = { encoding: 'utf-8', delimiter: ',', headerLine: 1, columns: ['day', 'n'] }

  test('because days are too far apart reports how its file was read', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    const { job } = await files.import(dataset, 'day,n\n2024-05-01,1\n1900-01-01,1\n')
    expect(job).toMatchObject({ error: { code: 'window_too_wide' }, counts: { records: 2 }, result: READ })
    expect(job.error?.detail).toMatch(
      /^Line 3 has the date 1900-01-01, 45,411 days from the nearest other day, 2024-05-01\. The accepted records span 45,412 days, .* may replace at most 400 days\./,
    )
  })

  test('because a column contradicts itself reports how its file was read', async () => {
    const number = { name: 'n', type: 'decimal', precision: 9, scale: 2, decimalMark: 'either' } as const
    const dataset = await files.dataset([{ name: 'day', type: 'date', required: true }, number], byDay)
    const { job } = await files.import(dataset, 'day,n\n2024-05-01,"1,5"\n2024-05-01,1.5\n')
    expect(job).toMatchObject({ error: { code: 'file_contradicts_itself' }, counts: { records: 2 } })
    expect(job.result).toMatchObject({ ...READ, firstDay: null, days: 0 })
  })

  test('because of another number of records reports how its file was read', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    const { job } = await files.import(dataset, days(1), { expectedRecords: '5' })
    expect(job).toMatchObject({
      error: { code: 'record_count_differs' },
      counts: { records: 1 },
      result: READ,
    })
    expect(job.error?.detail).toMatch(
      /^The file has 1 record, but expectedRecords \(--expect-records\) is 5\./,
    )
  })

  test.each([
    [1, 'The only record was rejected, so there is nothing to load. '],
    [2, 'Both records were rejected, so there is nothing to load. '],
    [1200, 'All 1,200 records were rejected, so there is nothing to load. '],
  ])('because all of its %d records are rejected reports their number', async (count, begin) => {
    const dataset = await files.dataset(DAYS, byDay)
    const { job } = await files.import(dataset, `day,n\n${'x,1\n'.repeat(count)}`)
    expect(job.error?.detail.startsWith(begin)).toBe(true)
  })

  test('because one of three records is rejected reports that number', async () => {
    const dataset = await files.dataset(DAYS, { ...byDay, maxRejectRatio: 0.2 })
    const { job } = await files.import(dataset, `${days(2)}x,1\n`)
    expect(job.error?.detail).toMatch(/^1 of 3 records was rejected \(33\.3 %\); /)
    expect(job.error?.detail).toContain('Nothing was loaded; the reject is kept.')
  })
})

describe('a replace that removes many more rows than it loads', () => {
  const many = (removed: number, rows: string) => ({
    code: 'many_rows_removed',
    message: `The import removes the ${removed} rows that its days had before, and inserts ${rows} in their place. If rows are missing from the file, undo the import if it is loaded, or cancel it if it is waiting. Then send the whole file.`,
    column: null,
    count: removed,
  })

  test('is reported, also in a dry run, and while it waits', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    await files.import(dataset, days(11))
    const warnings = [many(11, '1 row')]
    expect((await files.import(dataset, days(1), { dryRun: 'true' })).job).toMatchObject({ warnings })
    const id = await files.system.accept(days(1), { dataset, requireApproval: 'true' })
    expect(await waiting(files.system, id)).toMatchObject({ warnings })
    await approve(files.system, id)
    expect(await files.system.finished(id)).toMatchObject({ warnings, counts: { loaded: 1, removed: 11 } })
  })

  test.each([
    [10, 1],
    [11, 6],
    [12, 6],
    [40, 20],
  ])('is not reported for %d removed and %d loaded rows', async (before, after) => {
    const dataset = await files.dataset(DAYS, byDay)
    await files.import(dataset, days(before))
    expect((await files.import(dataset, days(after))).job).toMatchObject({
      warnings: [],
      counts: { removed: before },
    })
  })

  test('counts the days of a declared window without records', async () => {
    const dataset = await files.dataset(DAYS, byDay)
    await files.import(dataset, `${days(6, '2024-05-01')}${days(6, '2024-05-02').slice(6)}`)
    const { job } = await files.import(dataset, days(5), { from: '2024-05-01', to: '2024-05-03' })
    expect(job.warnings).toEqual([many(12, '5 rows')])
  })
})

test('the report of an import names the line of the first record with each reason, also of a dry run', async () => {
  const dataset = await files.dataset(DAYS)
  const content = 'day,n\n2024-05-01,1\n2024-05-01,x\n,5\n2024-05-01,y\n'
  const { database, store, admin } = files.system
  for (const form of [{ dryRun: 'true' }, {}]) {
    const { job } = await files.import(dataset, content, form)
    const groups = await groupRejects({ db: database.db, store }, admin, job.id)
    expect(groups).toEqual([
      { column: 'n', code: 'not_an_integer', rejects: 2, example: '"x" is not a whole number', line: 3 },
      {
        column: 'day',
        code: 'required',
        rejects: 1,
        example: 'the cell is empty; a value is required',
        line: 4,
      },
    ])
  }
})
