import { cancelJob } from '@aduana/jobs/cancel'
import { readJob } from '@aduana/jobs/read'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const file = (day: string, lote: string) => `${HEADER}\n${day};M001;W0001;1;steel;${lote};3;1,500;\n`
const JANUARY = { dataset: 'production', from: '2024-01-01', to: '2024-02-01' }
const LATER = new Date(Date.now() + 86_400_000).toISOString()

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem()
  // One slot for each stage: whoever held it while waiting would keep everybody out.
  await system.startWorker({
    ADUANA_STAGE_CONCURRENCY: 'parse=1,validate=1,quarantine=1,load=1,fan-out=1',
    ADUANA_MAX_ACTIVE: '2',
  })
}, 120_000)
afterAll(() => system.close(), 60_000)

const job = (id: string) => readJob(system.database.db, system.admin, id)
const parked = (id: string) =>
  until(async () => (await job(id)).waitingFor === 'window', {
    within: 60_000,
    what: `job ${id} waits for its window`,
  })

test('imports that wait for a window hold no slot, and get it in the order in which they came', async () => {
  const holder = await system.accept(file('2024-01-01', 'holder'), { ...JANUARY, startAt: LATER })
  const waiting: string[] = []
  for (const [lote, form] of [
    ['found 1', { dataset: 'production' }],
    ['declared 2', { ...JANUARY, onConflict: 'wait' }],
    ['found 3', { dataset: 'production' }],
    ['declared 4', { ...JANUARY, from: '2024-01-02', to: '2024-01-04', onConflict: 'wait' }],
  ] as const) {
    const id = await system.accept(file('2024-01-02', lote), form)
    await parked(id)
    waiting.push(id)
  }
  // More of them wait than there are slots, or places for jobs in work, and yet others go on.
  const other = await system.import(file('2024-03-01', 'other'), { dataset: 'production' })
  expect(other.status).toBe('COMPLETED')
  for (const id of waiting) expect(await job(id)).toMatchObject({ waitingFor: 'window' })
  expect((await job(waiting[1] ?? '')).status).toBe('QUEUED')

  await cancelJob(system.database.db, system.admin, holder)
  for (const id of waiting) expect((await system.finished(id, 60_000)).status).toBe('COMPLETED')
  const order = await system.database.pool.query(
    'select id from jobs where id = any ($1) order by loaded_at',
    [waiting],
  )
  expect(order.rows.map((row) => row.id)).toEqual(waiting)
  const left = await system.database.pool.query(
    `select lote from fact_production where fecha_contabilizacion between '2024-01-01' and '2024-01-31'`,
  )
  expect(left.rows).toEqual([{ lote: 'declared 4' }])
}, 240_000)

test('a declared window that is taken is refused with the name of its holder, unless one waits for it', async () => {
  const window = { dataset: 'production', from: '2025-01-01', to: '2025-02-01' }
  const holder = await system.accept(file('2025-01-01', 'h'), { ...window, startAt: LATER })
  await expect(system.accept(file('2025-01-05', 'r'), window)).rejects.toMatchObject({
    code: 'window_locked',
    extra: { jobId: holder },
  })
  const waiter = await system.accept(file('2025-01-05', 'w'), { ...window, onConflict: 'wait' })
  await expect(system.accept(file('2025-01-06', 'r'), window)).rejects.toMatchObject({
    code: 'window_locked',
  })
  // Whoever waits can be cancelled, and so can the holder; the window is then free.
  await cancelJob(system.database.db, system.admin, waiter)
  await cancelJob(system.database.db, system.admin, holder)
  expect((await system.import(file('2025-01-07', 'last'), window)).status).toBe('COMPLETED')
}, 120_000)
