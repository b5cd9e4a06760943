import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from './testing/in-process-system.ts'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const row = (
  day: string,
  lote: string,
  rest: Partial<Record<'maquina' | 'turno' | 'cantidad' | 'peso', string>> = {},
) =>
  [
    day,
    rest.maquina ?? 'M001',
    'W0001',
    rest.turno ?? '1',
    'Acero',
    lote,
    rest.cantidad ?? '10',
    rest.peso ?? '1,5',
    '',
  ].join(';')
const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
})
afterAll(() => system.close())

const lots = async (where = 'true') => {
  const rows = await system.database.pool.query(
    `select lote from fact_production where ${where} order by lote`,
  )
  return rows.rows.map((found: { lote: string }) => found.lote)
}

describe('an import of production', () => {
  test('loads every clean row exactly, with surrogate ids and the lineage of its record', async () => {
    const job = await system.import(
      file(row('2024-01-05', 'A1', { peso: '12,345' }), row('06/01/2024', 'A2')),
      {
        dataset: 'production',
      },
    )
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 2, loaded: 2, quarantined: 0, duplicates: 0 },
    })
    const rows = await system.database.pool.query(
      `select f.id, f.fecha_contabilizacion, m.codigo as maquina, w.codigo as maquinista, f.turno, f.cantidad, f.peso_neto,
         f.observacion, i.import_no
       from fact_production f join dim_maquina m on m.id = f.maquina_id join dim_maquinista w on w.id = f.maquinista_id
         join imports i on i.job_id = $1 where f.lote in ('A1', 'A2') order by f.lote`,
      [job.id],
    )
    expect(rows.rows).toMatchObject([
      {
        fecha_contabilizacion: '2024-01-05',
        maquina: 'M001',
        maquinista: 'W0001',
        turno: 1,
        cantidad: 10,
        peso_neto: '12.345',
        observacion: null,
      },
      { fecha_contabilizacion: '2024-01-06', peso_neto: '1.500' },
    ])
    const importNo = BigInt(rows.rows[0].import_no)
    expect(rows.rows.map((found: { id: string }) => found.id)).toEqual([
      ((importNo << 32n) | 1n).toString(),
      ((importNo << 32n) | 2n).toString(),
    ])
  })

  test('loads nothing when more is rejected than the dataset allows, and keeps the rejects', async () => {
    const job = await system.import(file(row('2024-02-01', 'B1'), row('2024-02-01', 'B2', { turno: '7' })), {
      dataset: 'production',
    })
    expect(job).toMatchObject({
      status: 'FAILED',
      stage: 'quarantine',
      error: { code: 'too_many_rejects', stage: 'quarantine' },
      counts: { records: 2, loaded: null, quarantined: 1 },
    })
    expect(await lots(`lote in ('B1', 'B2')`)).toEqual([])
    const stored = await system.database.pool.query(
      'select codes from quarantined_records where job_id = $1',
      [job.id],
    )
    expect(stored.rows).toEqual([{ codes: ['too_large'] }])
  })

  test('quarantines the rejects, loads the rest, and the counts add up', async () => {
    const good = Array.from({ length: 20 }, (_, index) => row('2024-02-01', `C${index}`))
    const bad = '31/02/2024;M1;W0001;7;Acero;B2;-4;1.234,5;'
    const job = await system.import(file(...good, bad, '2024-02-01;M001;W0001;1', row('2024-02-01', 'C0')), {
      dataset: 'production',
    })
    expect(job).toMatchObject({
      status: 'COMPLETED',
      counts: {
        records: 23,
        loaded: 20,
        inserted: 20,
        updated: 0,
        unchanged: 0,
        quarantined: 2,
        duplicates: 1,
      },
    })
    const rejects = (await system.artifact(job.id, 'rejects.ndjson'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rejects).toMatchObject([
      { record: 21, line: 22, raw: bad },
      { record: 22, line: 23, raw: '2024-02-01;M001;W0001;1', reasons: [{ code: 'missing_columns' }] },
    ])
    expect(
      rejects[0].reasons.map((reason: { column: string; code: string }) => [reason.column, reason.code]),
    ).toEqual([
      ['fecha_contabilizacion', 'not_a_date'],
      ['maquina_codigo', 'pattern'],
      ['turno', 'too_large'],
      ['cantidad', 'too_small'],
      ['peso_neto', 'not_a_decimal'],
    ])
    const stored = await system.database.pool.query(
      'select record, line, raw, state from quarantined_records where job_id = $1 order by record',
      [job.id],
    )
    expect(stored.rows).toMatchObject([
      { record: '21', line: '22', raw: bad, state: 'open' },
      { record: '22', line: '23', state: 'open' },
    ])
    const duplicates = await system.artifact(job.id, 'duplicates.ndjson')
    expect(JSON.parse(duplicates)).toMatchObject({ record: 23, reasons: [{ code: 'duplicate', value: '1' }] })
  })

  test('replaces only the days of the file when no window is declared', async () => {
    await system.import(file(row('2024-03-01', 'D1'), row('2024-03-02', 'D2'), row('2024-03-03', 'D3')), {
      dataset: 'production',
    })
    const job = await system.import(file(row('2024-03-01', 'D4'), row('2024-03-03', 'D5')), {
      dataset: 'production',
    })
    expect(job.counts).toMatchObject({ loaded: 2, removed: 2 })
    expect(await lots(`fecha_contabilizacion between '2024-03-01' and '2024-03-03'`)).toEqual([
      'D2',
      'D4',
      'D5',
    ])
  })

  test('replaces a declared window as a whole and rejects the records outside of it', async () => {
    const rows = Array.from({ length: 9 }, (_, index) => row('2024-04-02', `E${index}`))
    await system.import(
      file(row('2024-04-01', 'old1'), row('2024-04-03', 'old3'), row('2024-04-09', 'kept')),
      { dataset: 'production' },
    )
    const job = await system.import(file(...rows, row('2024-04-09', 'outside')), {
      dataset: 'production',
      from: '2024-04-01',
      to: '2024-04-05',
    })
    expect(job.counts).toMatchObject({ records: 10, loaded: 9, quarantined: 1, removed: 2 })
    expect(await lots(`fecha_contabilizacion between '2024-04-01' and '2024-04-30'`)).toEqual([
      ...rows.map((_, index) => `E${index}`),
      'kept',
    ])
    const ledger = await system.database.pool.query(
      `select day, rows from window_ledger where job_id = $1 order by day`,
      [job.id],
    )
    expect(ledger.rows).toEqual([
      { day: '2024-04-01', rows: '0' },
      { day: '2024-04-02', rows: '9' },
      { day: '2024-04-03', rows: '0' },
      { day: '2024-04-04', rows: '0' },
    ])
  })

  test('marks the open rejects of an import as superseded when all of its rows were replaced', async () => {
    const rows = Array.from({ length: 9 }, (_, index) => row('2024-05-02', `F${index}`))
    const first = await system.import(file(...rows, row('2024-05-02', 'F9', { turno: '9' })), {
      dataset: 'production',
    })
    await system.import(file(...rows, row('2024-05-02', 'F9')), { dataset: 'production' })
    const states = await system.database.pool.query(
      'select state from quarantined_records where job_id = $1',
      [first.id],
    )
    expect(states.rows).toEqual([{ state: 'superseded' }])
  })

  test('records the dataset update with the changed days once, and publishes it', async () => {
    const job = await system.import(file(row('2024-06-02', 'G1'), row('2024-06-04', 'G2')), {
      dataset: 'production',
    })
    const updates = await system.database.pool.query(
      'select days::text, rows, fanned_out_at is not null as passed from dataset_updates where job_id = $1',
      [job.id],
    )
    expect(updates.rows).toEqual([
      { days: '{[2024-06-02,2024-06-03),[2024-06-04,2024-06-05)}', rows: '2', passed: true },
    ])
  })

  test('fails and names what was found and expected when a required column is missing', async () => {
    const job = await system.import('fecha;turno;lote\n2024-01-01;1;A\n', { dataset: 'production' })
    expect(job.status).toBe('FAILED')
    expect(job.error).toMatchObject({ code: 'missing_columns', stage: 'parse' })
    expect(job.error?.detail).toContain('"maquina_codigo"')
  })

  test('fails when no header is found, and when there are no records', async () => {
    const nothing = await system.import('a,b,c\n1,2,3\n', { dataset: 'production' })
    expect(nothing.error).toMatchObject({ code: 'header_not_found' })
    const empty = await system.import(`${HEADER}\n`, { dataset: 'production' })
    expect(empty.error).toMatchObject({ code: 'no_records' })
  })

  test('does not replace years because of one wrong date', async () => {
    const job = await system.import(file(row('2024-07-01', 'H1'), row('1999-07-01', 'H2')), {
      dataset: 'production',
    })
    expect(job.error).toMatchObject({ code: 'window_too_wide' })
  })

  test('skips an unknown column, whatever its name contains', async () => {
    const content = file(row('2024-08-05', 'N1')).replace(/$/gm, (_end, at, all) =>
      at < all.length ? ';x' : '',
    )
    const job = await system.import(content.replace(';x\n', ';ex\0tra\n'), { dataset: 'production' })
    expect(job).toMatchObject({ status: 'COMPLETED', result: { ignoredColumns: ['ex\u2400tra'] } })
  })

  test('reads gzip, also with tape padding, and refuses other trailing bytes', async () => {
    const packed = gzipSync(file(row('2024-08-06', 'Z1')))
    const padded = await system.import(Buffer.concat([packed, Buffer.alloc(512)]), { dataset: 'production' })
    expect(padded).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 } })
    const dirty = await system.import(Buffer.concat([packed, Buffer.from('more')]), { dataset: 'production' })
    expect(dirty.error).toMatchObject({ code: 'unreadable_file' })
    const cut = await system.import(packed.subarray(0, packed.length - 9), { dataset: 'production' })
    expect(cut.error).toMatchObject({ code: 'unreadable_file' })
  })

  test('reads Windows-1252 and quoted line breaks correctly', async () => {
    const text = file('2024-08-01;M001;W0001;1;Latón;I1;1;1;"dos\nlíneas ""citadas"""')
    await system.import(Buffer.from(text, 'latin1'), { dataset: 'production' })
    const found = await system.database.pool.query(
      `select material, observacion from fact_production where lote = 'I1'`,
    )
    expect(found.rows).toEqual([{ material: 'Latón', observacion: 'dos\nlíneas "citadas"' }])
  })
})
