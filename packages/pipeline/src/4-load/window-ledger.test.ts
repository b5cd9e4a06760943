import type { Principal } from '@aduana/contracts/identity'
import { readDataset } from '@aduana/datasets/registry'
import { readLedger } from '@aduana/jobs/windows/ledger'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../testing/in-process-system.ts'
import { ANDINA, createSalesSystem, importAs, salesFile } from '../testing/sales.ts'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const row = (day: string, lote: string, turno = '1') => `${day};M001;W0001;${turno};PVC;${lote};1;1;`
const file = (...rows: string[]) => `${[HEADER, ...rows].join('\n')}\n`

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
})
afterAll(() => system.close())

test('the ledger shows the owner and the state of each day', async () => {
  const good = await system.import(file(row('2024-01-01', 'A'), row('2024-01-01', 'B')), {
    dataset: 'production',
  })
  const rows = Array.from({ length: 9 }, (_, index) => row('2024-01-03', `C${index}`))
  const partly = await system.import(file(...rows, row('2024-01-03', 'C9', '7')), { dataset: 'production' })
  const dataset = await readDataset(system.database.db, 'production')
  const coming = await system.accept(file(row('2024-01-04', 'D')), {
    dataset: 'production',
    from: '2024-01-04',
    to: '2024-01-05',
    startAt: '2099-01-01T00:00:00Z',
  })
  const ledger = await readLedger(system.database.db, system.admin, dataset, {
    from: '2024-01-01',
    to: '2024-01-05',
  })
  expect(ledger).toMatchObject([
    { day: '2024-01-01', state: 'loaded', rows: 2, jobId: good.id },
    { day: '2024-01-02', state: 'missing', rows: 0, jobId: null },
    { day: '2024-01-03', state: 'partial', rows: 9, jobId: partly.id },
    { day: '2024-01-04', state: 'locked', rows: 0, jobId: coming },
  ])
  const usual = await readLedger(system.database.db, system.admin, dataset, {})
  expect(usual).toHaveLength(62)
  expect(usual.at(-1)).toMatchObject({ day: '2024-01-03' })
})

test('an invalid range is refused', async () => {
  const dataset = await readDataset(system.database.db, 'production')
  const read = (from: string, to: string) =>
    readLedger(system.database.db, system.admin, dataset, { from, to })
  await expect(read('2024-02-01', '2024-01-01')).rejects.toMatchObject({ code: 'bad_window' })
  await expect(read('2004-02-01', '2024-01-01')).rejects.toMatchObject({ code: 'bad_window' })
})

describe('what the ledger shows of a day', () => {
  const day = (date: string, company: string, item: string, pieces = '1') =>
    `${date},${company},W1,${item},,${pieces},1.00`
  const RANGE = { from: '2024-01-01', to: '2024-01-07' }
  let sold: InProcessSystem
  const readers: Record<string, Principal> = {}
  const jobs: Record<string, string> = {}

  beforeAll(async () => {
    sold = await createSalesSystem()
    const owner = await sold.addUser('operator', ANDINA)
    Object.assign(readers, {
      owner,
      admin: sold.admin,
      'another operator': await sold.addUser('operator'),
      'a viewer of the company': await sold.addUser('viewer', { companies: ['Andina'] }),
      'a viewer of another company': await sold.addUser('viewer', { companies: ['Beta'] }),
      'a viewer of another warehouse': await sold.addUser('viewer', { warehouses: ['W2'] }),
      'a steward': await sold.addUser('steward'),
      'an admin of another company': await sold.addUser('admin', { companies: ['Beta'] }),
    })
    const load = async (name: string, as: Principal, ...rows: string[]) => {
      jobs[name] = (await importAs(sold, as, salesFile(...rows), { dataset: 'sales' })).id
      return jobs[name]
    }
    await load('own', owner, day('2024-01-01', 'Andina', 'a'), day('2024-01-01', 'Andina', 'b'))
    await load('mixed', sold.admin, day('2024-01-02', 'Andina', 'a'), day('2024-01-02', 'Beta', 'b'))
    await load('partly', owner, day('2024-01-03', 'Andina', 'a'), day('2024-01-03', 'Andina', 'b', 'many'))
    await undone(sold, await load('taken back', owner, day('2024-01-04', 'Andina', 'a')), { as: owner })
    const form = { dataset: 'sales', from: '2024-01-05', to: '2024-01-06', startAt: '2099-01-01T00:00:00Z' }
    jobs.coming = await sold.accept(salesFile(day('2024-01-05', 'Andina', 'a')), form, owner)
  }, 120_000)
  afterAll(() => sold.close())

  const read = async (reader: string) => {
    const { [reader]: principal } = readers
    if (!principal) throw new Error(`there is no ${reader}`)
    const dataset = await readDataset(sold.database.db, 'sales')
    return readLedger(sold.database.db, principal, dataset, RANGE)
  }

  test('is the same state for every reader', async () => {
    for (const reader of Object.keys(readers))
      expect([reader, (await read(reader)).map(({ state }) => state)]).toEqual([
        reader,
        ['loaded', 'loaded', 'partial', 'undone', 'locked', 'missing'],
      ])
  })

  test.each([
    ['owner', [2, null, 1, 0, 0, 0]],
    ['admin', [2, 2, 1, 0, 0, 0]],
    ['another operator', [2, 2, 1, 0, 0, 0]],
    ['a viewer of the company', [2, null, 1, 0, 0, 0]],
    ['a viewer of another company', [null, null, null, 0, 0, 0]],
    ['a viewer of another warehouse', [null, null, null, 0, 0, 0]],
    ['a steward', [2, 2, 1, 0, 0, 0]],
    ['an admin of another company', [null, null, null, 0, 0, 0]],
  ])('includes, for %s, its number of rows only if all of them may be seen', async (reader, rows) => {
    expect((await read(reader)).map((entry) => entry.rows)).toEqual(rows)
  })

  test.each([
    ['owner', ['own', null, 'partly', 'taken back', 'coming', null]],
    ['admin', ['own', 'mixed', 'partly', 'taken back', 'coming', null]],
    ['another operator', [null, null, null, null, null, null]],
    ['a viewer of the company', [null, null, null, null, null, null]],
    ['a viewer of another company', [null, null, null, null, null, null]],
    ['a viewer of another warehouse', [null, null, null, null, null, null]],
    ['a steward', [null, null, null, null, null, null]],
    ['an admin of another company', ['own', 'mixed', 'partly', 'taken back', 'coming', null]],
  ])('includes, for %s, the job only if it may be seen', async (reader, names) => {
    const ids = names.map((name) => (name === null ? null : (jobs[name] ?? name)))
    expect((await read(reader)).map(({ jobId }) => jobId)).toEqual(ids)
  })

  test('includes replace scopes that are companies only for users who may see them', async () => {
    const form = { dataset: 'sales_by_company' }
    await importAs(
      sold,
      sold.admin,
      salesFile(day('2024-01-09', 'Andina', 'a'), day('2024-01-09', 'Beta', 'b')),
      form,
    )
    const dataset = await readDataset(sold.database.db, 'sales_by_company')
    const scopes = async (principal: Principal) =>
      (await readLedger(sold.database.db, principal, dataset, { from: '2024-01-09', to: '2024-01-10' })).map(
        ({ scope, rows }) => [scope, rows],
      )
    expect(await scopes(sold.admin)).toEqual([
      ['Andina', 1],
      ['Beta', 1],
    ])
    expect(await scopes(await sold.addUser('viewer', { companies: ['Beta'] }))).toEqual([['Beta', 1]])
    expect(await scopes(await sold.addUser('viewer', { companies: ['Beta'], warehouses: ['W2'] }))).toEqual([
      ['Beta', null],
    ])
  })
})
