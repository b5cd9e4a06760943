import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { saveDataset } from '@aduana/datasets/save/save-dataset'
import { inTransaction } from '@aduana/db/database'
import { DATASET_DEPENDENTS } from '@aduana/metrics/registry/dataset-dependents'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ColumnInput, openRealFiles, type RealFiles } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const CUSTOMERS: readonly ColumnInput[] = [
  { name: 'code', type: 'text', required: true, aliases: ['codigo'] },
  ...['name', 'zip', 'phone'].map((name) => ({ name, type: 'text' as const })),
]
const ACCOUNT: readonly ColumnInput[] = [
  { name: 'fecha', type: 'date', formats: ['YYYY-MM-DD'], required: true },
  { name: 'concepto', type: 'text' },
  { name: 'importe', type: 'decimal', precision: 12, scale: 2, decimalMark: 'either' },
  { name: 'saldo', type: 'decimal', precision: 12, scale: 2, decimalMark: 'either' },
]
const customers = () => files.dataset(CUSTOMERS)
const account = () => files.dataset(ACCOUNT)
const PACKINGS: [string, (text: string) => string | Buffer][] = [
  ['as it is', (text) => text],
  ['with CRLF, packed', (text) => gzipSync(text.replaceAll('\n', '\r\n'))],
  ['in UTF-16', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
]

describe('a wider row within the first lines', () => {
  const JOINED = 'code;name\nP4;Uno\nP5;Dos\ncode;name;zip\nP6;Tres;08001\n'

  test.each(PACKINGS)('fails the import with both possible headers (%s)', async (_, pack) => {
    const dataset = await customers()
    const { job } = await files.import(dataset, pack(JOINED))
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'header_ambiguous' } })
    expect(job.error?.detail).toMatch(/^Line 1 \("code", "name"\) and line 4 \("code", "name", "zip"\) both/)
    expect(await files.rows(dataset)).toEqual([])
  })

  test.each([
    ['after records of one column', 'code\nP7\nP8\ncode;name\nP9;Tres\n'],
    ['under other names', 'Codigo;Name;\nP4;Uno;\n\ncode;name;zip\nP6;Tres;08001\n'],
    ['below a title', 'Clientes de mayo\n\ncode;name\nP4;Uno\ncode;name;zip\nP6;Tres;08001\n'],
    ['in line 20', `code;name\n${'P4;Uno\n'.repeat(18)}code;name;zip\nP6;Tres;08001\n`],
    ['under another delimiter', 'code,name\nP4,Uno\ncode;name;zip\nP6;Tres;08001\n'],
    [
      'with a column that is not known',
      'code;name;color\nP4;Uno;rojo\ncode;name;zip;phone\nP6;Tres;08001;5\n',
    ],
  ])('fails the import %s, too', async (_, text) => {
    const dataset = await customers()
    expect((await files.import(dataset, text)).job).toMatchObject({ error: { code: 'header_ambiguous' } })
    expect(await files.rows(dataset)).toEqual([])
  })

  test('fails an import of production, whose days would be lost', async () => {
    const header = 'fecha;maquina;maquinista;turno;lote;cantidad;peso'
    const records = '2020-04-01;M101;W1001;1;A;1;1\n2020-04-01;M101;W1001;1;B;1;1\n'
    const text = `${header}\n${records}${header};observacion\n2020-04-02;M101;W1001;1;A;1;1;x\n`
    expect((await files.import('production', text)).job).toMatchObject({
      error: { code: 'header_ambiguous' },
    })
  })
})

describe('records before the header', () => {
  test('fail the import, are shown, and are not loaded', async () => {
    const dataset = await customers()
    const { job } = await files.import(dataset, 'P1;Uno\nP2;Dos\ncode;name;zip\nP3;Tres;08001\n')
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'header_ambiguous' } })
    expect(job.error?.detail).toBe(
      '2 lines are before the header in line 3 ("code", "name", "zip") and look like records: "P1;Uno" (line 1), "P2;Dos" (line 2). Nothing was changed. If they are records, add a header before them. If not, remove the lines. Then send the file again.',
    )
    expect(await files.rows(dataset)).toEqual([])
  })

  test('that may be labels are skipped, counted and listed', async () => {
    const dataset = await files.dataset(['name', 'zip', 'phone'].map((name) => ({ name, type: 'text' })))
    const { job } = await files.import(dataset, 'Informe\nAna;5\nEva;6\nname;zip;phone\nLeo;7;x\n')
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 } })
    expect(job.warnings).toEqual([
      {
        ...{ code: 'lines_before_header', column: null, count: 3 },
        message:
          '3 lines before the header in line 4 were skipped: "Informe" (line 1), "Ana;5" (line 2), "Eva;6" (line 3). Lines 2, 3 may be records or headers. If so, undo the import, put the header before the records, and send the file again.',
      },
    ])
  })

  test.each([
    'Cuenta;ES12 3456\nTitular;Ana\nDesde;2024-05-01\n\n',
    '2024-05-01 10:30\n',
    '# exported 2024\n# rows: 2\n',
    'sep=;\n',
    'Kontoauszug;;;\nZeitraum: 01.03.2024 - 31.03.2024;;;\n;;;\n',
  ])('are not reported for titles: %j', async (before) => {
    const dataset = await account()
    const text = `${before}Fecha;Concepto;Importe;Saldo\n2024-05-02;a;1,5;2,5\n2024-05-03;b;2,5;5\n`
    const { job } = await files.import(dataset, text)
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2 }, warnings: [] })
  })
})

describe('decimal commas between commas', () => {
  const HEADER = 'fecha,concepto,importe,saldo\n'

  test.each(PACKINGS)('that leave an empty cell at the end are reported (%s)', async (_, pack) => {
    const text = `${HEADER}2024-07-01,a,1,50,\n2024-07-02,b,2,75,\n2024-07-03,c,3,00,\n`
    const { job } = await files.import(await account(), pack(text))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3 } })
    expect(job.warnings).toEqual([
      {
        ...{ code: 'split_numbers', column: 'importe', count: 3 },
        message:
          'All 3 records have more cells than the header; the last cell is empty. Line 2 has 5 cells instead of 4: "2024-07-01,a,1,50,". The column "importe" may contain only the part of the number before the decimal comma. If so, undo the import, export the file with ";" between cells, and send it again.',
      },
    ])
  })

  test('are reported in some of many records', async () => {
    const whole = '2024-07-01,a,1,\n'.repeat(3000)
    const { job } = await files.import(await account(), `${HEADER}${whole}2024-07-02,b,"2",75,\n${whole}`)
    expect(job.warnings).toMatchObject([{ code: 'split_numbers', count: 1 }])
    expect(job.warnings[0]?.message).toMatch(/^1 of 6001 records has/)
  })

  test.each([
    ['points before decimals', `${HEADER}2024-07-01,a,1.5,50,\n2024-07-02,b,2,75,\n`],
    ['texts and numbers', 'fecha,concepto,importe\n2024-07-01,a,1,\n2024-07-02,b,2,\n'],
    ['long whole numbers', `${HEADER}2024-07-01,a,1,1500,\n2024-07-02,b,2,7500,\n`],
    ['a delimiter at the end of the header', `${HEADER.trim()},\n2024-07-01,a,1,50,\n`],
    ['semicolons', `${HEADER}2024-07-01,a,1,50,\n`.replaceAll(',', ';')],
    ['whole numbers that are declared so', 'code,qty,age\nA,1,50,\nB,2,75,\n'],
  ])('are not suspected beside %s', async (_, text) => {
    const integers = ['qty', 'age'].map((name) => ({ name, type: 'integer' as const }))
    const dataset = await (text.startsWith('code') ? files.dataset([...CUSTOMERS, ...integers]) : account())
    const { job } = await files.import(dataset, text)
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { quarantined: 0 }, warnings: [] })
  })

  test('that make records too wide are named as a likely cause', async () => {
    const { rejects } = await files.import(
      await account(),
      'fecha,concepto,importe\n2024-07-01,a,1,50\n2024-07-02,b,3\n',
    )
    expect(rejects).toMatchObject([
      {
        reasons: [
          { message: '4 cells, expected 3; if "1,50" is one number, export the file with ";" between cells' },
        ],
      },
    ])
  })
})

describe('a header cell', () => {
  test.each([
    [
      'code;nmae;zip\nN1;Uno;08001\n',
      'The header cell "nmae" in line 1 is not the name of a column, so its values were not loaded. It is close to "name", which the file lacks.',
    ],
    [
      '"code";"name";"zip\n(CP)"\nE8;a;08001\n',
      'The header cell "zip\n(CP)" in line 1 is not the name of a column, so its values were not loaded. It is close to "zip", which the file lacks. It contains a line break.',
    ],
  ])('that is similar to a missing column is reported: %j', async (text, message) => {
    const { job } = await files.import(await customers(), text)
    expect(job.warnings).toMatchObject([
      { code: 'misspelt_header', message: expect.stringContaining(message) },
    ])
  })

  test('that is different, or similar to an existing column, causes no warning', async () => {
    const { job } = await files.import(await customers(), 'code;nmae;name;address\nN1;x;Uno;y\n')
    expect(job).toMatchObject({ warnings: [], result: { ignoredColumns: ['nmae', 'address'] } })
  })

  test('without a name is reported if records have values in its column', async () => {
    const { job } = await files.import(await customers(), 'code;;name;;;zip\nA1;;Uno;;;1\nA2;x;Dos;;;2\n')
    expect(job.warnings).toMatchObject([
      {
        ...{ code: 'unnamed_column', count: 1 },
        message: expect.stringContaining(
          'The file has values in 1 column without a name: column 2 in 1 record. These values were not loaded. The first is "x" in line 3.',
        ),
      },
    ])
    const none = await files.import(await customers(), 'code;;name;;\nA1;;Uno;;\n')
    expect(none.job.warnings).toEqual([])
  })

  test.each([',code,name\n0,A1,x\n1,A2,y\n5,A3,z\n', '"","code","name"\n"1","A1","x"\n"2","A2","y"\n'])(
    'of the row numbers that pandas and R write causes no warning: %j',
    async (text) => {
      const { job } = await files.import(await customers(), text)
      expect(job).toMatchObject({ status: 'COMPLETED', warnings: [] })
    },
  )
})

describe('the error for an unreadable file', () => {
  test.each([
    ['packed and empty', gzipSync(''), 'empty_file', 'The file has no content. Nothing was changed.'],
    [
      'packed and cut short',
      gzipSync('code;name\nA;b\n').subarray(0, 25),
      'unreadable_file',
      'is truncated (unexpected end of file). Send the file again. Nothing was changed.',
    ],
    [
      'with two cells for one column',
      'code;name;name\nA;b;c\n',
      'duplicate_columns',
      'Two header cells in line 1 name the column "name": "name" and "name".',
    ],
    [
      'with another header within it',
      'code;name;zip\nA;b;c\nname;code;zip\nB;c;d\n',
      'header_ambiguous',
      'line 3 names other columns, or the same columns in another order: "name", "code", "zip".',
    ],
    [
      'with its header too far below',
      `${'Portada del informe\n'.repeat(24)}code;name\nA;b\n`,
      'header_not_found',
      'Line 25 names "code", "name". Remove the lines before the header and send the file again.',
    ],
  ])('has advice for %s', async (_, content, code, detail) => {
    const { job } = await files.import(await customers(), content)
    expect(job).toMatchObject({ status: 'FAILED', error: { code } })
    expect(job.error?.detail).toContain(detail)
  })

  test('names another delimiter than the declared one', async () => {
    const { job } = await files.import(await customers(), 'code\tname\nJ1\tUno\n', { delimiter: ';' })
    expect(job.error).toMatchObject({ code: 'header_not_found' })
    expect(job.error?.detail).toContain(
      'With a tab between cells, line 1 would name "code", "name". Declare this delimiter, or omit the delimiter,',
    )
  })
})

test('the table and definition of the guide can be loaded', async () => {
  const guide = await readFile(new URL('../../../../docs/guides/datasets.md', import.meta.url), 'utf8')
  const [, sql = '', json = ''] =
    /```sql\n(create schema sales;[\s\S]*?)```\n\n```json\n([\s\S]*?)```/.exec(guide) ?? []
  const { pool, db } = files.system.database
  await pool.query(sql)
  const definition = DatasetDefinition.parse(JSON.parse(json))
  await inTransaction(db, (tx) => saveDataset(tx, DATASET_DEPENDENTS, definition, files.system.admin.userId))
  const text = 'ticket;sold_at;branch;amount;paid\nT1;2024-05-01 10:00:00;B1;1,5;true\n'
  const { job } = await files.import('tickets', text)
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 }, warnings: [] })
  const { rows } = await pool.query(
    'select ticket, code, amount, job from sales.tickets join dim_branch on dim_branch.id = branch_id',
  )
  expect(rows).toEqual([{ ticket: 'T1', code: 'B1', amount: '1.50', job: job.id }])
})

describe('a reject', () => {
  test('for a repeated header names the line of the first one, and differences', async () => {
    const { rejects } = await files.import(await customers(), 'code;name\nA;b\ncode;name\nCodigo;Name\nB;c\n')
    expect(rejects.map(({ reasons: [reason] }) => reason?.message)).toEqual([
      'the line repeats the header in line 1',
      'the line names the same columns as the header in line 1',
    ])
  })

  test('for a quote that is not doubled shows the right form', async () => {
    const { rejects } = await files.import(await customers(), 'code,name\nA,"dijo \\"no\\" y salió"\nB,c\n')
    expect(rejects).toMatchObject([
      {
        reasons: [
          {
            code: 'text_after_quote',
            message:
              'column 2 has text after its closing quote; a quote inside a cell must be doubled ("" instead of \\")',
          },
        ],
      },
    ])
  })
})
