import { afterAll, beforeAll, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../testing/in-process-system.ts'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
})
afterAll(() => system.close())

test('rejects beyond the cap of the dataset stay in the downloadable file, and are counted', async () => {
  await system.database.pool.query(
    `update dataset_versions v set definition = jsonb_set(definition, '{quarantineCap}', '2')
     from datasets d where d.id = v.dataset_id and d.code = 'production'`,
  )
  const rows = Array.from(
    { length: 20 },
    (_, index) => `2024-01-01;M001;W0001;${index < 3 ? 9 : 1};PVC;L${index};1;1;`,
  )
  const job = await system.import(`${[HEADER, ...rows].join('\n')}\n`, { dataset: 'production' })
  expect(job).toMatchObject({
    status: 'COMPLETED',
    counts: { records: 20, loaded: 17, quarantined: 3 },
    result: { rejectsStored: 2 },
  })
  const stored = await system.database.pool.query(
    'select record from quarantined_records where job_id = $1 order by record',
    [job.id],
  )
  expect(stored.rows).toEqual([{ record: '1' }, { record: '2' }])
  expect((await system.artifact(job.id, 'rejects.ndjson')).trimEnd().split('\n')).toHaveLength(3)
})
