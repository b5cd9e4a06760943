import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test } from 'vitest'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const row = (lote: string, cantidad: number) => `2024-01-01;M001;W0001;1;PVC;${lote};${cantidad};1.5;`
const file = (...rows: string[]) => `${HEADER}\n${rows.join('\n')}\n`

/** In proportion to the default of 384 MB, this corresponds to 1.8 million rows. */
const STORED = 300_000

let system: TestSystem
let worker: ProductProcess
beforeAll(async () => {
  system = await createTestSystem()
  worker = await system.startWorker({ ADUANA_ENGINE_MEMORY_MB: '64' })
})
afterAll(() => system.close())

test('a preview of a small file over many stored rows needs little memory', async () => {
  await system.import(file(row('A', 1), row('B', 2)), { dataset: 'production' })
  await system.database.pool.query(
    `insert into fact_production select f.id + 10 + n, '2024-01-01'::date + n % 31, maquina_id, maquinista_id, turno, material,
       'lot ' || n, n % 1000, n % 1000 / 8.0, 'a remark of some length, so that the rows are not all too small ' || n
     from fact_production f, generate_series(1, $1) n where f.lote = 'A'`,
    [STORED],
  )
  const dry = await system.import(file(row('A', 1), row('B', 3), row('C', 4)), {
    dataset: 'production',
    from: '2024-01-01',
    to: '2024-02-01',
    dryRun: 'true',
  })
  expect(dry).toMatchObject({ status: 'COMPLETED', error: null })
  const { preview } = await readPreview(system.database.db, system.admin, dry.id)
  expect(preview).toMatchObject({
    totals: { inserted: 1, changed: 1, unchanged: 1, removed: STORED },
    rows: { before: STORED + 2, after: 3 },
  })
}, 240_000)

test('a file that needs too much memory can be loaded as its failure advises', async () => {
  const long = 'x'.repeat(400)
  const rows = Array.from({ length: 60_000 }, (_, index) => `${row(`P${index}`, 1)}${index}${long}`)
  const failed = await system.import(file(...rows), { dataset: 'production' })
  expect(failed).toMatchObject({ status: 'FAILED', error: { code: 'engine_out_of_memory' } })
  expect(failed.error?.detail).toContain('Raise ADUANA_ENGINE_MEMORY_MB of the workers and retry the job')
  await worker.stop()
  await system.startWorker({ ADUANA_ENGINE_MEMORY_MB: '384' })
  await retryJob(system.database.db, system.admin, failed.id)
  const loaded = await system.finished(failed.id, 120_000)
  expect(loaded).toMatchObject({ status: 'COMPLETED', counts: { loaded: 60_000 } })
}, 240_000)
