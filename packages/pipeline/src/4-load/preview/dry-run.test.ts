import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../../testing/in-process-system.ts'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const file = (...rows: string[]) => `${HEADER}\n${rows.join('\n')}\n`
const row = (
  day: string,
  lote: string,
  cantidad: number,
  { machine = 'M001', peso = '1,500', note = '' } = {},
) => `${day};${machine};W0001;1;PVC;${lote};${cantidad};${peso};${note}`

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
})
afterAll(() => system.close())

/** Returns everything that an import may change, as text. */
async function traces(): Promise<string> {
  const tables = ['fact_production', 'order_detail', 'resumen_tarjeta', 'dim_maquina', 'dim_maquinista']
  const more = [
    'window_ledger',
    'window_ledger_before',
    'dataset_updates',
    'quarantined_records',
    'window_locks',
  ]
  const texts: string[] = []
  for (const table of [...tables, ...more, 'window_waiters', 'window_leases']) {
    const rows = await system.database.pool.query(`select t::text from ${table} t order by 1`)
    texts.push(`${table}: ${JSON.stringify(rows.rows)}`)
  }
  const partitions = await system.database.pool.query(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'fact_production'::regclass order by 1`,
  )
  return [...texts, JSON.stringify(partitions.rows)].join('\n')
}

const preview = (id: string) => readPreview(system.database.db, system.admin, id)

describe('a dry run', () => {
  test('shows what a replace would do to each day, and changes nothing', async () => {
    await system.import(
      file(
        row('2024-01-01', 'A', 10),
        row('2024-01-01', 'B', 20),
        row('2024-01-02', 'C', 30),
        row('2024-01-03', 'D', 40),
      ),
      { dataset: 'production' },
    )
    const before = await traces()
    const job = await system.import(
      file(
        row('2024-01-01', 'A', 10, { peso: '1,5' }),
        row('2024-01-01', 'B', 21),
        row('2024-01-02', 'E', 5, { machine: 'M777', note: '"a ""note""; with all"' }),
        row('2024-01-04', 'F', 7),
        row('2024-01-04', 'F', 7),
        row('2024-01-04', 'H', 8),
        row('2024-01-04', 'G', -1),
      ),
      { dataset: 'production', dryRun: 'true' },
    )
    expect(job).toMatchObject({
      status: 'COMPLETED',
      dryRun: true,
      counts: { records: 7, loaded: 5, inserted: 5, unchanged: 0, removed: 3, quarantined: 1, duplicates: 1 },
    })
    expect(job.message).toContain(
      'insert 3 rows, change 1, leave 1 unchanged and remove 1. The file has 1 reject, ',
    )
    expect(await traces()).toBe(before)
    const { preview: shown, needsApproval, dryRun } = await preview(job.id)
    expect(dryRun).toBe(true)
    expect(needsApproval).toEqual([])
    expect(shown).toEqual({
      mode: 'replace-window',
      alreadyPresent: 0,
      sameVersion: { rows: 0, example: null },
      matchedBy: ['fecha_contabilizacion', 'maquina_codigo', 'turno', 'lote'],
      totals: { inserted: 3, changed: 1, unchanged: 1, removed: 1 },
      rows: { before: 3, after: 5 },
      days: [
        {
          scope: '',
          day: '2024-01-01',
          inserted: 0,
          changed: 1,
          unchanged: 1,
          removed: 0,
          before: 2,
          after: 2,
        },
        {
          scope: '',
          day: '2024-01-02',
          inserted: 1,
          changed: 0,
          unchanged: 0,
          removed: 1,
          before: 1,
          after: 1,
        },
        {
          scope: '',
          day: '2024-01-04',
          inserted: 2,
          changed: 0,
          unchanged: 0,
          removed: 0,
          before: 0,
          after: 2,
        },
      ],
      daysLeftOut: 0,
      sums: [
        { column: 'cantidad', before: '60', after: '51' },
        { column: 'peso_neto', before: '4.500', after: '7.500' },
      ],
      newMembers: [{ column: 'maquina_codigo', codes: 1, examples: ['M777'] }],
    })
    const kept = JSON.parse(await system.artifact(job.id, 'preview.json'))
    expect(kept).toMatchObject({ jobId: job.id, totals: shown.totals })
    expect(job.artifacts.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['rejects.ndjson', 'duplicates.ndjson', 'preview.json']),
    )
    expect(await system.artifact(job.id, 'rejects.ndjson')).toContain('too_small')
  })

  test('of a declared window neither waits for it nor blocks others, and counts the days that would become empty', async () => {
    const content = file(row('2024-03-02', 'A', 1))
    const window = { from: '2024-03-01', to: '2024-03-04' }
    await system.import(file(row('2024-03-01', 'X', 1), row('2024-03-03', 'Y', 2)), { dataset: 'production' })
    const stuck = await system.accept(file(row('2024-03-01', 'Z', 9)), {
      dataset: 'production',
      ...window,
      startAt: '2099-01-01T00:00:00Z',
    })
    const job = await system.import(content, { dataset: 'production', dryRun: 'true', ...window })
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1, removed: 2 } })
    expect((await preview(job.id)).preview).toMatchObject({
      totals: { inserted: 1, changed: 0, unchanged: 0, removed: 2 },
      rows: { before: 2, after: 1 },
    })
    expect(await system.import(content, { dataset: 'production', dryRun: 'true', ...window })).toMatchObject({
      status: 'COMPLETED',
    })
    await system.database.pool.query(`delete from window_locks where job_id = $1`, [stuck])
    await system.database.pool.query(
      `update jobs set status = 'CANCELLED', completed_at = now() where id = $1`,
      [stuck],
    )
    expect(await system.import(content, { dataset: 'production', ...window })).toMatchObject({
      status: 'COMPLETED',
      counts: { loaded: 1, removed: 2 },
    })
  })

  test('fails like the import for a file with too many rejects', async () => {
    const before = await traces()
    const job = await system.import(file(row('2024-01-01', 'A', -1)), {
      dataset: 'production',
      dryRun: 'true',
    })
    expect(job).toMatchObject({ status: 'FAILED', dryRun: true, error: { code: 'too_many_rejects' } })
    expect(await traces()).toBe(before)
    await expect(preview(job.id)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('cannot be combined with requireApproval', async () => {
    await expect(
      system.accept(file(row('2024-01-01', 'A', 1)), {
        dataset: 'production',
        dryRun: 'true',
        requireApproval: 'true',
      }),
    ).rejects.toMatchObject({ code: 'bad_request' })
  })
})

describe('a dry run of an upsert', () => {
  const order = (
    id: string,
    items: number,
    modified: string,
    more: { day?: string; company?: string } = {},
  ) =>
    [
      id,
      'sale',
      `${more.day ?? '2024-05-01'} 23:30:00`,
      '',
      items,
      more.company ?? 'North',
      'W1',
      modified,
    ].join(',')
  const orders = (...rows: string[]) =>
    `order_id,order_type,timestamp,customer_id,items_count,company,warehouse,source_modified_timestamp\n${rows.join('\n')}\n`

  test('counts rows that are added, changed, unchanged and moved to another day', async () => {
    await system.import(
      orders(
        order('O1', 1, '2024-05-01 10:00:00'),
        order('O2', 2, '2024-05-01 10:00:00'),
        order('O3', 3, '2024-05-01 10:00:00'),
        order('O4', 4, '2024-05-01 10:00:00', { day: '2024-05-02' }),
      ),
      { dataset: 'orders' },
    )
    const before = await traces()
    const job = await system.import(
      orders(
        order('O1', 1, '2024-05-01 10:00:00'),
        order('O2', 9, '2024-04-01 10:00:00'),
        order('O3', 5, '2024-06-01 10:00:00', { day: '2024-05-02' }),
        order('O5', 6, '2024-06-01 10:00:00', { day: '2024-05-03' }),
      ),
      { dataset: 'orders', dryRun: 'true' },
    )
    expect(job.counts).toMatchObject({ loaded: 2, inserted: 1, updated: 1, unchanged: 2, removed: 0 })
    expect(await traces()).toBe(before)
    expect((await preview(job.id)).preview).toMatchObject({
      matchedBy: ['order_id'],
      totals: { inserted: 1, changed: 1, unchanged: 2, removed: 0 },
      rows: { before: 4, after: 5 },
      days: [
        { day: '2024-05-01', inserted: 0, changed: 0, unchanged: 2, before: 3, after: 2 },
        { day: '2024-05-02', inserted: 0, changed: 1, unchanged: 0, before: 1, after: 2 },
        { day: '2024-05-03', inserted: 1, changed: 0, unchanged: 0, before: 0, after: 1 },
      ],
      sums: [{ column: 'items_count', before: '10', after: '18' }],
    })
  })

  test('fails where the upsert would take over a row of another company', async () => {
    await system.import(orders(order('T1', 1, '2024-05-01 10:00:00')), { dataset: 'orders' })
    const user = await system.addUser('operator', { companies: ['South'] })
    const mine = orders(order('T1', 5, '2024-06-01 10:00:00', { company: 'South' }))
    const id = await system.accept(mine, { dataset: 'orders', dryRun: 'true' }, user)
    expect(await system.finished(id)).toMatchObject({
      status: 'FAILED',
      error: { code: 'key_in_other_scope', rows: 1 },
    })
  })
})

test('a dry run of an append counts every row as new', async () => {
  const cards =
    'fecha,trabajador_codigo,centro_costo,turno,horas_ordinarias,horas_extra\n2024-05-01,T1,CC1,1,8,2\n2024-05-01,T2,CC1,1,8,0.25\n'
  await system.import(cards, { dataset: 'dkt' })
  const job = await system.import(cards, { dataset: 'dkt', dryRun: 'true' })
  expect(job.counts).toMatchObject({ inserted: 2, removed: 0 })
  expect((await preview(job.id)).preview).toMatchObject({
    matchedBy: null,
    totals: { inserted: 2, changed: 0, unchanged: 0, removed: 0 },
    rows: { before: 2, after: 4 },
    sums: expect.arrayContaining([{ column: 'horas_extra', before: '2.25', after: '4.50' }]),
  })
})
