import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test } from 'vitest'

const FILE =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion\n2024-01-01;M001;W0001;1;PVC;A;1;1;\n'

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem()
})
afterAll(() => system.close())

test('a retried job continues from the stage that failed, with the artifacts of earlier stages', async () => {
  const broken = await system.startWorker({ ADUANA_FAIL_POINTS: 'load.before-transaction=throw' })
  const id = await system.accept(FILE, { dataset: 'production', from: '2024-01-01', to: '2024-02-01' })
  expect(await system.finished(id)).toMatchObject({
    status: 'FAILED',
    stage: 'load',
    error: { code: 'internal' },
  })
  await broken.stop()

  await system.startWorker()
  const queued = await retryJob(system.database.db, system.admin, id)
  expect(queued).toMatchObject({ error: null, completedAt: null })
  const job = await system.finished(id)
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 } })
  expect(job.attempts.map(({ stage, attempt, state }) => `${stage} ${attempt} ${state}`)).toEqual([
    'parse 1 done',
    'validate 1 done',
    'quarantine 1 done',
    'load 1 failed',
    'load 2 done',
    'fan-out 2 done',
  ])
})

test('only a failed job can be retried', async () => {
  const job = await system.import(FILE.replace(';A;', ';B;'), { dataset: 'production' })
  await expect(retryJob(system.database.db, system.admin, job.id)).rejects.toMatchObject({
    code: 'illegal_transition',
  })
})
