import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const query = async (sql: string) => (await files.system.database.pool.query(sql)).rows
const reasonsOf = ({ rejects }: Awaited<ReturnType<RealFiles['import']>>) =>
  rejects.map(({ record, reasons }) => [record, ...reasons.map(({ column, code }) => `${column}: ${code}`)])

describe('codes that look the same', () => {
  test('are one order or company: invisible characters are removed and counted', async () => {
    const { job } = await files.import('orders', realFile('11-key-zero-width.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1, duplicates: 1, quarantined: 0 } })
    expect(job.result?.cleaned).toEqual([
      { column: 'company', count: 1 },
      { column: 'order_id', count: 1 },
    ])
    expect(await query(`select order_id, company from order_detail where order_id like 'Q11%'`)).toEqual([
      { order_id: 'Q11', company: 'Andina' },
    ])
    const windows = await query(`select companies from dataset_updates where job_id = '${job.id}'`)
    expect(windows).toEqual([{ companies: ['Andina'] }])
  })

  test('are one company, composed or decomposed', async () => {
    const { job } = await files.import('orders', realFile('12-nfd.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2 } })
    expect(job.result?.cleaned).toEqual([
      { column: 'company', count: 1 },
      { column: 'customer_id', count: 1 },
    ])
    expect(
      await query(
        `select company, customer_id, count(*)::int from order_detail where order_id like 'Q12%' group by 1, 2`,
      ),
    ).toEqual([{ company: 'Ñandú', customer_id: 'Peña', count: 2 }])
  })

  test('are one member of a dimension and one replace scope, also in header cells', async () => {
    const pool = files.system.database.pool
    await pool.query(
      'create table dim_seen (id bigint generated always as identity, code text not null unique, created_by_job uuid)',
    )
    const dimension = { table: 'dim_seen', key: 'code', idColumn: 'm_id', onMissing: 'create' as const }
    await pool.query('create table own.seen (id bigint primary key, m_id bigint, s text, d date)')
    const dataset = await files.dataset(
      [
        { name: 'm', type: 'text', dimension },
        { name: 's', type: 'text', required: true },
        { name: 'd', type: 'date', required: true },
      ],
      {
        table: { schema: 'own', name: 'seen' },
        ...{ loadMode: 'replace-window', windowColumn: 'd', scope: { company: 's' }, replaceScope: 's' },
      },
    )
    const file = (m: string, s: string) =>
      `\u200Bm,s\u00AD,\u2060d\nabc${m},Norte${s},\u200E2026-01-05\u200E\n`
    const window = { from: '2026-01-05', to: '2026-01-06', scope: 'Norte\u200B' }
    await files.import(dataset, file('', ''), { ...window, scope: 'Norte' })
    const { job } = await files.import(dataset, file('\u200D', '\u00A0'), window)
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1, removed: 1 } })
    expect(await query('select code from dim_seen')).toEqual([{ code: 'abc' }])
    expect(await query('select s from own.seen')).toEqual([{ s: 'Norte' }])
  })

  test('do not merge with rows that were stored uncleaned, because only new input is cleaned', async () => {
    const columns = [
      { name: 'k', type: 'text', required: true },
      { name: 'v', type: 'text' },
    ] as const
    const dataset = await files.dataset(columns, { loadMode: 'upsert', key: ['k'] })
    await query(
      `insert into own.${dataset} (id, k, v, import_no, record, row_hash) values (1, 'Q\u200B', 'old', 0, 1, '')`,
    )
    await files.import(dataset, 'k,v\nQ\u200B,new\n')
    expect((await files.rows(dataset)).map(({ k, v }) => [k, v])).toEqual([
      ['Q\u200B', 'old'],
      ['Q', 'new'],
    ])
  })
})

describe('a code that a spreadsheet changed', () => {
  test('is restored if nothing is lost: a quoted lot is the lot', async () => {
    const { job } = await files.import('production', realFile('34-text-guards.csv'))
    expect(job.status).toBe('COMPLETED')
    expect(
      await query(`select lote from fact_production where fecha_contabilizacion = '2020-01-17'`),
    ).toEqual([{ lote: '00123' }])
    expect(job.result?.cleaned).toEqual([{ column: 'lote', count: 2 }])
  })

  test('is rejected if digits are lost', async () => {
    const imported = await files.import('production', realFile('34-scientific.csv'))
    expect(imported.job).toMatchObject({ status: 'FAILED', error: { code: 'too_many_rejects' } })
    expect(reasonsOf(imported)).toEqual([
      [1, 'lote: scientific_code'],
      [2, 'lote: scientific_code'],
    ])
    expect(imported.rejects[0]?.reasons[0]).toMatchObject({
      value: '4.68769E+11',
      message: expect.stringContaining('Format the column as text'),
    })
  })
})

describe('words for null', () => {
  test('of a database are null in the shipped datasets', async () => {
    const imported = await files.import('production', realFile('17-mysql.csv'))
    // One of the five records has quotes escaped with backslashes.
    expect(imported.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 4, quarantined: 1 } })
    expect(imported.job.result?.nullWords).toEqual([{ column: 'material', count: 4 }])
    expect(
      await query(
        `select material, count(*)::int from fact_production where fecha_contabilizacion = '2020-01-09' group by 1`,
      ),
    ).toEqual([{ material: null, count: 4 }])
    expect(imported.rejects[0]).toMatchObject({
      raw: expect.stringContaining('y salió'),
      reasons: [{ code: 'text_after_quote', value: expect.stringContaining('y salió') }],
    })
  })

  test('are declared; an error of a spreadsheet is rejected', async () => {
    const imported = await files.import('production', realFile('18-null-words.csv'))
    expect(reasonsOf(imported)).toEqual([[2, 'material: spreadsheet_error']])
    expect(imported.job).toMatchObject({ status: 'FAILED', error: { code: 'too_many_rejects' } })
    const more = Array.from({ length: 5 }, (_, index) => `2020-01-10,M101,W1001,1,X,D${index},1,1`)
    const header = 'fecha,maquina,maquinista,turno,material,lote,cantidad,peso'
    const lines = ['NULL,A', '#N/A,B', 'n/a,C'].map((cells) => `2020-01-10,M101,W1001,1,${cells},1,1`)
    const { job } = await files.import('production', `${[header, ...lines, ...more].join('\r\n')}\r\n`)
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 7, quarantined: 1 }, warnings: [] })
    expect(
      await query(
        `select distinct material from fact_production where fecha_contabilizacion = '2020-01-10' order by 1`,
      ),
    ).toEqual([{ material: 'X' }, { material: null }])
  })

  test('that are not declared are reported once for each column, unless the definition declares none', async () => {
    const text = 'a,b\nNULL,x\nnan,N/A\n\\N,y\n#REF!,z\n'
    const columns = (nullWords?: string[]) =>
      ['a', 'b'].map((name) => ({ name, type: 'text' as const, ...(nullWords ? { nullWords } : {}) }))
    const told = await files.import(await files.dataset(columns()), text)
    expect(told.job.warnings).toMatchObject([
      { code: 'undeclared_null_word', column: 'a', count: 2 },
      { code: 'undeclared_null_word', column: 'b', count: 1 },
    ])
    expect(reasonsOf(told)).toEqual([
      [3, 'a: null_word'],
      [4, 'a: spreadsheet_error'],
    ])
    const silent = await files.import(await files.dataset(columns([])), text)
    expect(silent.job.warnings).toEqual([])
  })
})

test('a message shows invisible characters escaped; its value is unchanged', async () => {
  const dataset = await files.dataset([{ name: 'n', type: 'text', code: false, pattern: '[A-Z0-9]+' }])
  const { rejects } = await files.import(dataset, 'n\nQ11\u200B\nQ12\n')
  expect(rejects[0]?.reasons).toMatchObject([
    { value: 'Q11\u200B', message: expect.stringMatching(/^"Q11<U\+200B>" is not of the form/) },
  ])
  const unknown = await files.dataset([{ name: 'n', type: 'text' }], { unknownColumns: 'fail' })
  const { job } = await files.import(unknown, 'n,mo\u200Bre\na,b\n')
  expect(job.error?.detail).toContain('"mo<U+200B>re"')
})

test('the key of a dimension can be named code', async () => {
  await query(
    'create table dim_named (id bigint generated always as identity, code text not null unique, created_by_job uuid)',
  )
  await query('create table own.named (id bigint primary key, m_id bigint, v text)')
  const dimension = { table: 'dim_named', key: 'code', idColumn: 'm_id', onMissing: 'create' as const }
  const dataset = await files.dataset(
    [
      { name: 'm', type: 'text', dimension },
      { name: 'v', type: 'text' },
    ],
    { table: { schema: 'own', name: 'named' } },
  )
  for (const name of ['h10-dimension-key-named-code-1.csv', 'h10-dimension-key-named-code-2.csv'])
    expect((await files.import(dataset, realFile(name))).job.status).toBe('COMPLETED')
  expect(await query('select code from dim_named order by 1')).toEqual([{ code: 'abc' }, { code: 'def' }])
})
