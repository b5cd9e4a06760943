import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../testing/in-process-system.ts'

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
})
afterAll(() => system.close())

describe('an upsert of orders', () => {
  const order = (id: string, items: number, modified: string, company = 'North') =>
    [id, 'sale', '2024-05-01 10:00:00', 'C1', String(items), company, 'W1', modified].join(',')
  const orders = (...rows: string[]) =>
    `order_id,order_type,timestamp,customer_id,items_count,company,warehouse,source_modified_timestamp\n${rows.join('\n')}\n`

  test('distinguishes inserted, updated and unchanged rows, and keeps the newest version', async () => {
    const first = await system.import(
      orders(order('O1', 1, '2024-05-01 10:00:00'), order('O2', 2, '2024-05-01 10:00:00')),
      { dataset: 'orders' },
    )
    expect(first.counts).toMatchObject({ inserted: 2, updated: 0, unchanged: 0 })
    const second = await system.import(
      orders(
        order('O1', 9, '2024-05-02 10:00:00'),
        order('O2', 7, '2024-04-01 10:00:00'),
        order('O3', 3, '2024-05-01 10:00:00'),
      ),
      { dataset: 'orders' },
    )
    expect(second.counts).toMatchObject({ records: 3, loaded: 2, inserted: 1, updated: 1, unchanged: 1 })
    const rows = await system.database.pool.query(
      'select order_id, items_count from order_detail order by order_id',
    )
    expect(rows.rows).toEqual([
      { order_id: 'O1', items_count: 9 },
      { order_id: 'O2', items_count: 2 },
      { order_id: 'O3', items_count: 3 },
    ])
  })

  test('does not take over a row of a company that the uploader has no access to', async () => {
    await system.import(orders(order('T1', 1, '2024-05-01 10:00:00', 'North')), { dataset: 'orders' })
    const user = await system.addUser('operator', { companies: ['South'] })
    const mine = orders(
      order('T1', 5, '2024-06-01 10:00:00', 'South'),
      order('T2', 5, '2024-06-01 10:00:00', 'South'),
    )
    const job = await system.finished(await system.accept(mine, { dataset: 'orders' }, user))
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'key_in_other_scope', rows: 1 } })
    const rows = await system.database.pool.query(
      `select order_id, company from order_detail where order_id like 'T%'`,
    )
    expect(rows.rows).toEqual([{ order_id: 'T1', company: 'North' }])
  })

  test('rejects rows of a company that the uploader has no access to', async () => {
    const user = await system.addUser('operator', { companies: ['South'] })
    const rows = Array.from({ length: 9 }, (_, index) =>
      order(`S${index}`, 1, '2024-05-01 10:00:00', 'South'),
    )
    const id = await system.accept(
      orders(...rows, order('N1', 1, '2024-05-01 10:00:00', 'North')),
      { dataset: 'orders' },
      user,
    )
    const job = await system.finished(id)
    expect(job.counts).toMatchObject({ loaded: 9, quarantined: 1 })
    expect(await system.artifact(id, 'rejects.ndjson')).toContain('outside_scope')
  })
})

describe('an append of time cards', () => {
  test('adds rows with the id of their import', async () => {
    const content =
      'fecha,trabajador_codigo,centro_costo,turno,horas_ordinarias,horas_extra\n2024-05-01,T1,CC1,1,8,2\n2024-05-01,T2,CC1,1,20,6\n2024-05-01,T3,CC1,1,8,0\n2024-05-01,T4,CC1,1,8,0\n2024-05-01,T5,CC1,1,8,0\n'
    const job = await system.import(content, { dataset: 'dkt' })
    expect(job.counts).toMatchObject({ records: 5, loaded: 4, quarantined: 1 })
    const rows = await system.database.pool.query(
      'select count(*)::int as n from resumen_tarjeta where lote_id = $1',
      [job.id],
    )
    expect(rows.rows).toEqual([{ n: 4 }])
  })
})
