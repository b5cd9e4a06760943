import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compileLoadFile } from './load-file.ts'
import {
  attachFresh,
  buildIndex,
  createFresh,
  listIndexes,
  listPartitions,
  lockPartitions,
  partitionsFor,
} from './partitions.ts'
import { dkt } from './shipped/dkt.ts'
import { production } from './shipped/production.ts'
import { anyRows, copyIn, deleteRows, selectionCondition } from './target.ts'
import { definitionWith } from './testing/definitions.ts'
import { prepare } from './testing/load.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'
import { openTestDuck, type TestDuck, type TextRecord, validateIn } from './testing/validate.ts'

let postgres: TestPostgres
let duck: TestDuck
beforeAll(async () => {
  postgres = await openTestPostgres()
  duck = await openTestDuck()
  // These tests have no job to point at.
  for (const table of ['dim_maquina', 'dim_maquinista'])
    await postgres.client.query(`alter table ${table} drop constraint ${table}_created_by_job_fkey`)
})
afterAll(async () => {
  await duck.close()
  await postgres.close()
})

const rows = async (sql: string, values: unknown[] = []) => (await postgres.client.query(sql, values)).rows

const TORTURE = [
  'plain',
  '"',
  '""',
  'a"b',
  "it's",
  '\\',
  '\\Nx',
  '\\.',
  'a\\tb',
  'a\tb',
  'a\nb',
  'a\r\nb',
  ',',
  ';',
  'a,"b",c',
  '=1+1',
  '@cmd',
  '+1',
  '-1',
  'NULL',
  'null',
  'naïve ñ ß Ł',
  '😀👩‍👩‍👧',
  'a\u00a0b',
  'a\ufeffb',
  '\u2028',
  '{}',
  '%s $1',
]

describe('a load file', () => {
  test('transfers every text to PostgreSQL byte for byte, and NULL as NULL', async () => {
    await postgres.client.query('create table things (id bigint primary key, x text)')
    const definition = definitionWith([{ name: 'x', type: 'text' }])
    const { output, good } = await prepare(
      { duck, postgres },
      definition,
      [...TORTURE.map((x) => ({ x })), {}],
      3,
    )
    expect(await postgres.copy(copyIn(definition), output)).toBe(good)
    const found = await rows('select id, x from things order by id')
    expect(found).toEqual(
      [...TORTURE, null].map((x, index) => ({ id: String(3n * 2n ** 32n + BigInt(index + 1)), x })),
    )
  })

  test('transfers every type exactly', async () => {
    await postgres.client.query(
      `create table typed (id bigint, s smallint, i integer, b bigint, d numeric(38,10), day date, at timestamptz, flag boolean)`,
    )
    const definition = definitionWith(
      [
        { name: 's', type: 'integer', bits: 16 },
        { name: 'i', type: 'integer' },
        { name: 'b', type: 'integer', bits: 64 },
        { name: 'd', type: 'decimal', precision: 38, scale: 10 },
        { name: 'day', type: 'date' },
        { name: 'at', type: 'timestamp', formats: ['ISO8601'] },
        { name: 'flag', type: 'boolean' },
      ],
      { table: { name: 'typed' } },
    )
    const record = {
      s: '-32768',
      i: '2147483647',
      b: '-9223372036854775808',
      d: '-1234567890123456789012345678.0123456789',
      day: '1900-01-01',
      at: '1900-01-01T00:00:00.123456',
      flag: 'sí',
    }
    const { output } = await prepare({ duck, postgres }, definition, [record], 1)
    await postgres.copy(copyIn(definition), output)
    await postgres.client.query("set timezone to 'UTC'")
    const [found] = await rows(
      'select s::text, i::text, b::text, d::text, day::text, at::text, flag::text from typed',
    )
    expect(found).toEqual({ ...record, at: '1900-01-01 04:56:16.123456+00', flag: 'true' })
  })

  test('is refused if a code has no member', async () => {
    const { cleanFile } = await validateIn(duck, production, [productionRecord('2026-01-01', 'M001', 'L1')])
    const file = join(duck.folder, 'none.ndjson')
    await writeFile(file, '{"code":"M002","id":"1"}\n')
    const { statements } = compileLoadFile(production, {
      clean: cleanFile,
      dimensions: [
        { column: 'maquina_codigo', file },
        { column: 'maquinista_codigo', file },
      ],
      importNo: 1,
      jobId: randomUUID(),
      output: join(duck.folder, 'load.csv'),
    })
    await expect(duck.run(statements)).rejects.toThrow(/no member of maquina(_id|ista_id) has the code/)
  })
})

function productionRecord(day: string, machine: string, lot: string): TextRecord {
  return {
    fecha_contabilizacion: day,
    maquina_codigo: machine,
    maquinista_codigo: 'W0001',
    turno: '1',
    lote: lot,
    cantidad: '10',
    peso_neto: '1,5',
  }
}

describe('loading production', () => {
  test('creates members and partitions once, writes in the order of the index, and replaces only the selected days', async () => {
    const job = randomUUID()
    const first = await prepare(
      { duck, postgres },
      { ...production, sortBy: ['fecha_contabilizacion', 'maquina_codigo'] },
      [
        productionRecord('2026-02-01', 'M002', 'L1'),
        productionRecord('2026-02-01', 'M001', 'L1'),
        productionRecord('2026-01-31', 'M002', 'L1'),
      ],
      1,
      job,
    )
    const lines = (await readFile(first.output, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => line.split(',').slice(0, 3).join(' '))).toEqual([
      `${2n ** 32n + 3n} 2026-01-31 2`,
      `${2n ** 32n + 2n} 2026-02-01 1`,
      `${2n ** 32n + 1n} 2026-02-01 2`,
    ])
    const again = await prepare(
      { duck, postgres },
      production,
      [productionRecord('2026-02-01', 'M001', 'L1'), productionRecord('2026-02-02', 'M003', 'L1')],
      2,
      job,
    )
    expect(await rows('select codigo from dim_maquina order by id')).toEqual([
      { codigo: 'M001' },
      { codigo: 'M002' },
      { codigo: 'M003' },
    ])

    const partitions = partitionsFor(production, ['2026-02-01', '2026-01-31', '2026-02-02', '2026-12-31'])
    expect(partitions.at(-1)).toEqual({
      name: 'fact_production_2026_12',
      from: '2026-12-01',
      to: '2027-01-01',
    })
    await postgres.client.query('begin')
    await postgres.client.query(lockPartitions(production))
    const indexes = await postgres.client.query(listIndexes(production))
    expect(indexes.rows).toHaveLength(2)
    for (const partition of partitions) {
      const name = `${partition.name}_new`
      await postgres.client.query(createFresh(production, name, partition))
      for (const index of indexes.rows) await postgres.client.query(buildIndex(production, name, index))
      for (const sql of attachFresh(production, name, partition)) await postgres.client.query(sql)
    }
    await postgres.client.query('commit')
    const listed = await rows(listPartitions(production))
    expect(listed.map(({ name }) => name)).toEqual(expect.arrayContaining(partitions.map(({ name }) => name)))
    expect(
      await rows(
        "select has_table_privilege('aduana_reader', 'fact_production_2026_01', 'select') as granted",
      ),
    ).toEqual([{ granted: false }])

    expect(await rows(anyRows(production, [{ days: ['2026-02-01'] }]))).toEqual([{ found: false }])
    expect(await postgres.copy(copyIn(production), again.output)).toBe(again.good)
    expect(await rows(anyRows(production, [{ days: ['2026-02-01'] }]))).toEqual([{ found: true }])
    const removed = await postgres.client.query(
      deleteRows(production, { days: ['2026-02-01', '2026-03-01'] }),
    )
    expect(removed.rowCount).toBe(1)
    const range = await postgres.client.query(
      deleteRows(production, { days: { from: '2026-02-01', to: '2026-02-02' } }),
    )
    expect(range.rowCount).toBe(0)
    const all = await postgres.client.query(deleteRows(production, { days: 'all' }))
    expect(all.rowCount).toBe(1)
  })

  test('selects nothing without days, and refuses a scope that the definition does not have', () => {
    expect(selectionCondition(production, { days: [] })).toBe('false')
    expect(() => deleteRows(production, { days: 'all', scope: 'Acme' })).toThrow('replace scope')
  })
})

describe('loading time cards', () => {
  test('marks every row with its batch', async () => {
    const job = randomUUID()
    const { output, good } = await prepare(
      { duck, postgres },
      dkt,
      [{ fecha: '31-01-2026', trabajador_codigo: 't1', centro_costo: 'C1', horas_ordinarias: '8,5' }],
      9,
      job,
    )
    expect(await postgres.copy(copyIn(dkt), output)).toBe(good)
    expect(await rows('select lote_id, horas_ordinarias, horas_extra from resumen_tarjeta')).toEqual([
      { lote_id: job, horas_ordinarias: '8.50', horas_extra: null },
    ])
  })
})

describe('a replace scope', () => {
  const scoped = definitionWith(
    [
      { name: 'company', type: 'text', required: true, maxLength: 50 },
      { name: 'day', type: 'date', required: true },
    ],
    { loadMode: 'replace-window', windowColumn: 'day', replaceScope: 'company', table: { name: 'scoped' } },
  )

  test('limits a delete to its rows, whatever its name', async () => {
    await postgres.client.query(
      'create table scoped (id bigint, company varchar(50) not null, day date not null)',
    )
    const hostile = "x' or '1'='1"
    const { output } = await prepare(
      { duck, postgres },
      scoped,
      ['a', hostile].map((company) => ({ company, day: '2026-01-01' })),
      1,
    )
    await postgres.copy(copyIn(scoped), output)
    const removed = await postgres.client.query(deleteRows(scoped, { days: ['2026-01-01'], scope: hostile }))
    expect(removed.rowCount).toBe(1)
    expect(await rows('select company from scoped')).toEqual([{ company: 'a' }])
    expect(() => deleteRows(scoped, { days: 'all' })).toThrow('replace scope')
  })
})
