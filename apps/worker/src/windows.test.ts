import { readDataset } from '@aduana/datasets/registry'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { readJob } from '@aduana/jobs/read/jobs'
import { readLedger } from '@aduana/jobs/windows/ledger'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { addUndoDatasets, undone } from '@aduana/testkit/undo'
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
  await addUndoDatasets(system)
  // One slot for each stage: a job that held it while waiting would block all others.
  await system.startWorker({
    ADUANA_STAGE_CONCURRENCY: 'parse=1,validate=1,quarantine=1,load=1,fan-out=1',
    ADUANA_MAX_ACTIVE: '2',
  })
}, 600_000)
afterAll(() => system.close(), 240_000)

const job = (id: string) => readJob(system.database.db, system.admin, id)
const parked = (id: string) =>
  until(async () => (await job(id)).waitingFor === 'window', {
    within: 240_000,
    what: `job ${id} waits for its window`,
  })

test('imports that wait for a window use no slot, and get it in order of arrival', async () => {
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
  // More jobs wait than there are slots or places for active jobs, and yet others continue.
  const other = await system.import(file('2024-03-01', 'other'), { dataset: 'production' })
  expect(other.status).toBe('COMPLETED')
  for (const id of waiting) expect(await job(id)).toMatchObject({ waitingFor: 'window' })
  expect((await job(waiting[1] ?? '')).status).toBe('QUEUED')

  await cancelJob(system.database.db, system.admin, holder)
  for (const id of waiting) expect((await system.finished(id, 240_000)).status).toBe('COMPLETED')
  const order = await system.database.pool.query(
    'select id from jobs where id = any ($1) order by loaded_at',
    [waiting],
  )
  expect(order.rows.map((row) => row.id)).toEqual(waiting)
  const left = await system.database.pool.query(
    `select lote from fact_production where fecha_contabilizacion between '2024-01-01' and '2024-01-31'`,
  )
  expect(left.rows).toEqual([{ lote: 'declared 4' }])
}, 600_000)

test('a declared window that is not free is refused with the id of its holder, unless the import waits for it', async () => {
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
  // The waiter can be cancelled, and so can the holder; the window is then free.
  await cancelJob(system.database.db, system.admin, waiter)
  await cancelJob(system.database.db, system.admin, holder)
  expect((await system.import(file('2025-01-07', 'last'), window)).status).toBe('COMPLETED')
}, 600_000)

test('windows of different scopes do not block each other', async () => {
  let items = 0
  const counts = (company: string) => {
    items += 1
    return `day,company,item,pieces,remark\n2024-01-02,${company},I${items},3,\n`
  }
  const window = { dataset: 'stock', from: '2024-01-01', to: '2024-02-01' }
  const holder = await system.accept(counts('ACME'), { ...window, scope: 'ACME', startAt: LATER })
  await expect(system.accept(counts('ACME'), { ...window, scope: 'ACME' })).rejects.toMatchObject({
    code: 'window_locked',
    extra: { jobId: holder },
  })
  const declared = await system.import(counts('Beta'), { ...window, scope: 'Beta' })
  const found = await system.import(counts('Gamma'), { dataset: 'stock' })
  expect([declared.status, found.status]).toEqual(['COMPLETED', 'COMPLETED'])
  const waiter = await system.accept(counts('ACME'), { dataset: 'stock' })
  await parked(waiter)
  const dataset = await readDataset(system.database.db, 'stock')
  const ledger = await readLedger(system.database.db, system.admin, dataset, {
    from: '2024-01-02',
    to: '2024-01-03',
  })
  expect(ledger.map(({ scope, state }) => [scope, state])).toEqual([
    ['ACME', 'locked'],
    ['Beta', 'loaded'],
    ['Gamma', 'loaded'],
  ])
  await cancelJob(system.database.db, system.admin, holder)
  expect((await system.finished(waiter, 240_000)).status).toBe('COMPLETED')
}, 600_000)

test('a day whose load was undone is shown as undone, and a restored one as loaded', async () => {
  const dataset = await readDataset(system.database.db, 'production')
  const states = async () =>
    (
      await readLedger(system.database.db, system.admin, dataset, { from: '2026-01-01', to: '2026-01-03' })
    ).map(({ state, jobId }) => [state, jobId])
  const first = await system.import(file('2026-01-01', 'first'), { dataset: 'production' })
  const both = `${file('2026-01-01', 'second')}2026-01-02;M001;W0001;1;steel;second;3;1,500;\n`
  const second = await system.import(both, { dataset: 'production' })
  expect(await states()).toEqual([
    ['loaded', second.id],
    ['loaded', second.id],
  ])
  await undone(system, second.id)
  expect(await states()).toEqual([
    ['loaded', first.id],
    ['undone', second.id],
  ])
}, 600_000)
