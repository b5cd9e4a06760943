import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lit } from '../literals.ts'
import { dkt } from '../shipped/dkt.ts'
import { orders } from '../shipped/orders.ts'
import { production } from '../shipped/production.ts'
import { definitionWith } from '../testing/definitions.ts'
import { openTestDuck, type TextRecord, type Validated, validate, validateIn } from '../testing/validate.ts'

const codes = ({ bad }: Validated) =>
  bad.map(({ record, reasons }) => [
    record,
    ...reasons.map(({ column, code }) => `${column ?? 'record'}: ${code}`),
  ])

const good: TextRecord = {
  fecha_contabilizacion: '2026-01-31',
  maquina_codigo: 'm001',
  maquinista_codigo: 'w0001',
  turno: '1',
  lote: 'L1',
  cantidad: '10',
  peso_neto: '12,5',
}

describe('validating production', () => {
  test('divides records into clean, rejected, duplicate and conflicting ones, and counts them by day', async () => {
    const result = await validate(production, [
      good,
      { ...good, lote: 'L2', fecha_contabilizacion: '31/01/2026' },
      { ...good, cantidad: '10.5', turno: '4' },
      { ...good, maquina_codigo: 'M001 ', cantidad: '99' },
      { ...good, fecha_contabilizacion: '01-02-2026' },
      { ...good, maquina_codigo: 'm001', peso_neto: '12,50' },
    ])
    expect(result.totals).toEqual({ records: 6, good: 3, rejected: 1, duplicates: 1, conflicts: 1 })
    expect(codes(result)).toEqual([[3, 'turno: too_large', 'cantidad: not_an_integer']])
    expect(result.duplicates).toEqual([{ record: 6, winner: 1 }])
    expect(result.conflicts.map(({ record }) => record)).toEqual([1, 4])
    expect(result.days).toEqual([
      { scope: '', day: '2026-01-31', rows: 2 },
      { scope: '', day: '2026-02-01', rows: 1 },
    ])
    expect(result.clean[0]).toEqual({
      _rec: '1',
      _line: '2',
      fecha_contabilizacion: '2026-01-31',
      maquina_codigo: 'M001',
      maquinista_codigo: 'W0001',
      turno: '1',
      material: null,
      lote: 'L1',
      cantidad: '10',
      peso_neto: '12.500',
      observacion: null,
    })
  })

  test('of a declared window refuses the records of other days', async () => {
    const result = await validate(
      production,
      ['2026-01-30', '2026-01-31', '2026-02-01'].map((day) => ({ ...good, fecha_contabilizacion: day })),
      { window: { from: '2026-01-31', to: '2026-02-01' } },
    )
    expect(codes(result)).toEqual([
      [1, 'fecha_contabilizacion: outside_window'],
      [3, 'fecha_contabilizacion: outside_window'],
    ])
    expect(result.bad[0]?.reasons[0]?.message).toBe(
      '"2026-01-30" is outside the declared window, 2026-01-31 to 2026-02-01 (exclusive)',
    )
  })

  test('of a file without records writes empty files', async () => {
    const result = await validate(production, [])
    expect(result).toEqual({
      totals: { records: 0, good: 0, rejected: 0, duplicates: 0, conflicts: 0 },
      decisions: [],
      days: [],
      repeated: [],
      scopes: [],
      clean: [],
      bad: [],
      duplicates: [],
      notes: { cleaned: [], null_word: [], undeclared: [] },
      conflicts: [],
      conflicting: undefined,
      digest: undefined,
      cleanFile: expect.stringContaining('good.parquet'),
    })
  })
})

describe('validating orders', () => {
  const order = (id: string, modified: string, more: TextRecord = {}): TextRecord => ({
    order_id: id,
    timestamp: '2026-01-31T23:30:00-05:00',
    company: 'Acme',
    warehouse: 'North',
    source_modified_timestamp: modified,
    ...more,
  })

  test('keeps the highest version of an order, and of equal versions the last', async () => {
    const result = await validate(orders, [
      order('A', '2026-02-01 10:00:00'),
      order('A', '2026-02-03 10:00:00'),
      order('A', '2026-02-02 10:00:00'),
      order('B', '2026-02-01 10:00:00'),
      order('B', '2026-02-01 10:00:00'),
    ])
    expect(result.duplicates).toEqual([
      { record: 1, winner: 2 },
      { record: 3, winner: 2 },
      { record: 4, winner: 5 },
    ])
    expect(result.totals).toEqual({ records: 5, good: 2, rejected: 0, duplicates: 3, conflicts: 0 })
  })

  test("counts days in the column's own zone and lists companies and warehouses", async () => {
    const result = await validate(orders, [
      order('A', '2026-02-01 10:00:00'),
      order('B', '2026-02-01 10:00:00', { warehouse: 'South' }),
    ])
    expect(result.days).toEqual([{ scope: '', day: '2026-01-31', rows: 2 }])
    expect(result.scopes).toEqual([
      { company: 'Acme', warehouse: 'North' },
      { company: 'Acme', warehouse: 'South' },
    ])
  })

  test('rejects companies and warehouses outside the scope of the import', async () => {
    const records = [
      order('A', '2026-02-01 10:00:00'),
      order('B', '2026-02-01 10:00:00', { company: "O'Hara" }),
      order('C', '2026-02-01 10:00:00', { warehouse: 'South' }),
    ]
    const result = await validate(orders, records, { scope: { companies: ['Acme'], warehouses: ['North'] } })
    expect(codes(result)).toEqual([
      [2, 'company: outside_scope'],
      [3, 'warehouse: outside_scope'],
    ])
    const nothing = await validate(orders, records, { scope: { companies: [] } })
    expect(nothing.totals.rejected).toBe(3)
    const one = await validate(orders, records, { scope: { companies: ["O'Hara"] } })
    expect(one.clean.map((row) => row.order_id)).toEqual(['B'])
  })
})

describe('validating time cards', () => {
  const card: TextRecord = { fecha: '2026-01-31', trabajador_codigo: 't1', centro_costo: 'C1' }

  test('adds hours over the columns, empty ones as 0, and only if none of them is invalid', async () => {
    const result = await validate(dkt, [
      { ...card, horas_ordinarias: '8,5', horas_extra: '2.25' },
      { ...card, centro_costo: 'C2', horas_ordinarias: '20', horas_nocturnas: '4.01' },
      { ...card, centro_costo: 'C3' },
      { ...card, centro_costo: 'C4', horas_ordinarias: '0', horas_festivas: '0' },
      { ...card, centro_costo: 'C5', horas_ordinarias: 'eight' },
      { ...card, centro_costo: 'C6', horas_ordinarias: '24' },
    ])
    expect(codes(result)).toEqual([
      [2, 'record: too_many_hours'],
      [3, 'record: no_hours'],
      [4, 'record: no_hours'],
      [5, 'horas_ordinarias: not_a_decimal'],
    ])
  })
})

describe('a dimension without new members', () => {
  test('rejects unknown codes, from a Parquet file or a file of JSON lines', async () => {
    const definition = definitionWith([
      {
        name: 'code',
        type: 'text',
        normalise: ['upper'],
        dimension: { table: 'dim_x', key: 'codigo', idColumn: 'x_id', onMissing: 'quarantine' },
      },
    ])
    const duck = await openTestDuck()
    try {
      const parquet = join(duck.folder, 'members.parquet')
      await duck.rows(`copy (select 'A' as code, 1::bigint as id) to ${lit(parquet)} (format parquet)`)
      const ndjson = join(duck.folder, 'members.ndjson')
      await duck.rows(`copy (select 'A' as code, '1' as id) to ${lit(ndjson)} (format json)`)
      for (const file of [parquet, ndjson]) {
        const result = await validateIn(duck, definition, [{ code: 'a' }, { code: 'b' }, {}], {
          members: [{ column: 'code', file }],
        })
        expect(codes(result)).toEqual([[2, 'code: unknown_member']])
        expect(result.totals.good).toBe(2)
      }
    } finally {
      await duck.close()
    }
  })
})

describe('text of a definition or a file', () => {
  const hostile = [
    `'; drop table marks; --`,
    `' || (select 1) || '`,
    '$1',
    '"',
    '\\',
    '%',
    `a''b`,
    '{{',
    'a\u2028b',
  ]

  test.each(hostile)('remains text in messages, patterns, lists and rules: %s', async (text) => {
    const definition = definitionWith(
      [
        { name: 'x', type: 'text', enum: [text, 'fine'], patternMeaning: text },
        { name: 'select', type: 'text', pattern: 'a+', patternMeaning: text },
      ],
      {
        rules: [
          {
            code: 'rule',
            message: text,
            assert: { op: '!=', left: { column: 'x' }, right: { value: text } },
          },
        ],
      },
    )
    const result = await validate(definition, [{ x: text }, { x: 'fine' }, { x: `${text}!`, select: text }])
    expect(result.bad.map(({ record }) => record)).toEqual([1, 3])
    expect(result.bad[0]?.reasons).toEqual([{ column: null, code: 'rule', message: text, value: null }])
    expect(result.bad[1]?.reasons[1]).toEqual({
      column: 'select',
      code: 'pattern',
      message: `"${text}" is not of the form ${text}`,
      value: text,
    })
  })
})
