import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const texts = (...names: string[]) => names.map((name) => ({ name, type: 'text' as const }))

describe('the header', () => {
  test('is ambiguous if a record may be the header: both rows are shown and nothing is lost', async () => {
    const file = realFile('h02-data-row-taken-for-header.csv')
    const names = texts('codigo', 'tipo', 'descripcion', 'unidad')
    const { job } = await files.import(await files.dataset(names), file)
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'header_ambiguous' } })
    expect(job.error?.detail).toMatch(/^Line 1 \("Campo", "Tipo".*line 4 \("campo3", "Codigo"/)
    const unknownFirst = await files.import(
      await files.dataset(texts('codigo', 'descripcion', 'unidad')),
      file,
    )
    expect(unknownFirst.job).toMatchObject({ status: 'FAILED', error: { code: 'header_ambiguous' } })
  })

  test('is the first row if no other row names more columns', async () => {
    const dataset = await files.dataset(texts('campo', 'tipo', 'nota', 'longitud', 'codigo'))
    const { job } = await files.import(dataset, realFile('h02-data-row-taken-for-header.csv'))
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: { loaded: 5 },
      result: { headerLine: 1, preamble: [] },
    })
  })

  test('below titles is found; the titles are listed in the result without a warning', async () => {
    const dataset = await files.dataset(texts('codigo', 'tipo'))
    const { job } = await files.import(
      dataset,
      'Informe de mayo\n\nExportado:;2024-05-31;x\ncodigo;tipo;otra\nA;1;\n',
    )
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: { loaded: 1 },
      result: {
        ...{ headerLine: 4, warnings: [{ code: 'lines_before_header', count: 2 }] },
        preamble: [
          { line: 1, text: 'Informe de mayo' },
          { line: 3, text: 'Exportado:;2024-05-31;x' },
        ],
      },
    })
    const plain = await files.import(dataset, 'Informe de mayo\n\nExportado: 2024-05-31\ncodigo;tipo\nB;2\n')
    expect(plain.job).toMatchObject({ status: 'COMPLETED', result: { warnings: [] } })
  })

  test('that is repeated is rejected; in another order it fails the file', async () => {
    const dataset = await files.dataset(texts('codigo', 'tipo'))
    const same = await files.import(dataset, 'codigo;tipo\nA;1\nCodigo;"Tipo"\nB;2\n')
    expect(same.rejects).toMatchObject([{ line: 3, reasons: [{ code: 'repeated_header' }] }])
    const other = await files.import(dataset, 'codigo;tipo\nC;1\ntipo;codigo\n2;D\n')
    expect(other.job).toMatchObject({ status: 'FAILED', error: { code: 'header_ambiguous' } })
    expect(other.job.error?.detail).toContain('line 3')
    expect(await files.rows(dataset)).toEqual([
      { codigo: 'A', tipo: '1' },
      { codigo: 'B', tipo: '2' },
    ])
  })

  test('that is quoted as a whole line is reported as the cause', async () => {
    const { job } = await files.import('production', realFile('16-line-in-quotes.csv'))
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'header_not_found' } })
    expect(job.error?.detail).toMatch(/^Whole lines are in quotes: line 1 .*"fecha", "maquina"/)
  })

  test('with a misspelt name reports the unknown cells and similar names', async () => {
    const dataset = await files.dataset([
      { name: 'codigo', type: 'text', required: true, aliases: ['cod'] },
      { name: 'descripcion', type: 'text' },
    ])
    const { job } = await files.import(dataset, 'codgo;Descripcion;otra cosa\nA;b;c\n')
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'missing_columns' } })
    expect(job.error?.detail).toMatch(
      /lacks "codigo"\. Unknown header cells: "codgo", "otra cosa"\. "codgo" is close to "codigo"\..*"codigo" or "cod"/,
    )
    const nothing = await files.import(dataset, 'codgo;descripción larga\nA;b\n')
    expect(nothing.job).toMatchObject({ error: { code: 'header_not_found' } })
    expect(nothing.job.error?.detail).toContain('"descripción larga" is close to "descripcion"')
  })
})

describe('a record', () => {
  test('with lines in quotes and too many columns is one reject with its whole text', async () => {
    const dataset = await files.dataset(texts('codigo', 'tipo', 'descripcion'))
    const { job, rejects } = await files.import(dataset, realFile('h03-quoted-lines-become-rows.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { records: 21, loaded: 20, quarantined: 1 } })
    expect(rejects).toMatchObject([
      { line: 2, raw: '1,a,"nota\nlinea,dos,legal\nfin",sobra', reasons: [{ code: 'too_many_columns' }] },
    ])
  })

  test('broken by a line end in an unquoted cell is reported at both halves', async () => {
    const dataset = await files.dataset(texts('codigo', 'tipo', 'nota'))
    const { rejects } = await files.import(
      dataset,
      'codigo;tipo;nota\r\nA;1;x\r\nB;dos\nlineas;y\r\nC;2;cola\nfin\r\nD;3;z\r\n',
    )
    expect(rejects.map(({ raw, reasons }) => [raw, ...reasons.map(({ code }) => code)])).toEqual([
      ['B;dos', 'missing_columns', 'broken_line'],
      ['lineas;y', 'missing_columns', 'broken_line'],
      ['C;2;cola', 'broken_line'],
      ['fin', 'missing_columns', 'broken_line'],
    ])
    expect(await files.rows(dataset)).toHaveLength(2)
  })

  test.each([
    ['15-space-before-quote.csv', 'L-1'],
    ['21-space-after-last-delimiter.csv', 'A'],
  ])('of %s is loaded', async (file, lot) => {
    const { job } = await files.import('production', realFile(file))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { records: 1, loaded: 1, quarantined: 0 } })
    const { pool } = files.system.database
    const { rows } = await pool.query('select lote from fact_production where lote = $1', [lot])
    expect(rows.length).toBeGreaterThan(0)
  })

  test('without any value is a blank line', async () => {
    const { job } = await files.import('production', realFile('22-empty-rows.csv'))
    expect(job).toMatchObject({
      ...{ status: 'COMPLETED', counts: { records: 1, loaded: 1, quarantined: 0 } },
      result: { skippedLines: 1, warnings: [] },
    })
  })

  test('of one column may end with a delimiter', async () => {
    const dataset = await files.dataset(texts('codigo'))
    const { job } = await files.import(dataset, realFile('h05-one-column-trailing-comma.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', result: { delimiter: ',' } })
    expect(await files.rows(dataset)).toEqual([{ codigo: 'A1' }, { codigo: 'B2' }])
  })

  test('after a byte order mark within a file has no mark and no quotes in its cells', async () => {
    const dataset = await files.dataset(texts('c1', 'c2'))
    const { rejects } = await files.import(dataset, realFile('h14-bom-before-quote-mid-file.csv'))
    expect(rejects).toMatchObject([{ line: 3, reasons: [{ code: 'repeated_header' }] }])
    await files.import(dataset, '\ufeffc1;c2\nx;y\n\ufeff"3";"c"\n')
    expect(await files.rows(dataset)).toEqual([
      { c1: '1', c2: 'a' },
      { c1: '2', c2: 'b' },
      { c1: 'x', c2: 'y' },
      { c1: '3', c2: 'c' },
    ])
  })
})

describe('padding at the end of a file', () => {
  test('by Ctrl-Z is no record', async () => {
    const { job } = await files.import('production', realFile('10-dos-eof.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { records: 1, loaded: 1, quarantined: 0 } })
  })

  test.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', (bytes: Buffer) => gzipSync(bytes)],
    ['UTF-16', (bytes: Buffer) => Buffer.from(`\ufeff${bytes}`, 'utf16le')],
    [
      'UTF-16, by an odd byte',
      (bytes: Buffer) => Buffer.concat([Buffer.from(`\ufeff${bytes}`, 'utf16le'), Buffer.of(0)]),
    ],
  ])('by any number of NULs is no record (%s)', async (_, pack) => {
    const dataset = await files.dataset(texts('codigo', 'tipo'))
    const bytes = Buffer.concat([Buffer.from('codigo;tipo\nA;1\nB;2'), Buffer.alloc(3_000_000)])
    const { job } = await files.import(dataset, pack(bytes))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { records: 2, loaded: 2, quarantined: 0 } })
  })
})
