import { readDataset } from '@aduana/datasets/registry'
import { readLedger } from '@aduana/jobs/window-ledger'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test } from 'vitest'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const row = (day: string, lote: string, turno = '1') => `${day};M001;W0001;${turno};PVC;${lote};1;1;`
const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem({ workers: 1 })
})
afterAll(() => system.close())

test('the ledger tells for each day who owns it and how it stands', async () => {
  const good = await system.import(file(row('2024-01-01', 'A'), row('2024-01-01', 'B')), {
    dataset: 'production',
  })
  const rows = Array.from({ length: 9 }, (_, index) => row('2024-01-03', `C${index}`))
  const partly = await system.import(file(...rows, row('2024-01-03', 'C9', '7')), { dataset: 'production' })
  const dataset = await readDataset(system.database.db, 'production')
  await system.database.pool.query(
    `insert into window_locks (job_id, dataset_id, days) values ($1, $2, '[2024-01-04,2024-01-05)')`,
    [good.id, dataset.id],
  )
  const ledger = await readLedger(system.database.db, system.admin, dataset, {
    from: '2024-01-01',
    to: '2024-01-05',
  })
  expect(ledger).toMatchObject([
    { day: '2024-01-01', state: 'loaded', rows: 2, jobId: good.id },
    { day: '2024-01-02', state: 'missing', rows: 0, jobId: null },
    { day: '2024-01-03', state: 'partial', rows: 9, jobId: partly.id },
    { day: '2024-01-04', state: 'locked', rows: 0, jobId: good.id },
  ])
  const usual = await readLedger(system.database.db, system.admin, dataset, {})
  expect(usual).toHaveLength(62)
  expect(usual.at(-1)).toMatchObject({ day: '2024-01-03' })
})

test('a range that is off is refused', async () => {
  const dataset = await readDataset(system.database.db, 'production')
  const read = (from: string, to: string) =>
    readLedger(system.database.db, system.admin, dataset, { from, to })
  await expect(read('2024-02-01', '2024-01-01')).rejects.toMatchObject({ code: 'bad_window' })
  await expect(read('2004-02-01', '2024-01-01')).rejects.toMatchObject({ code: 'bad_window' })
})
