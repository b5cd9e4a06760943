import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { orders } from './shipped/orders.ts'
import { copyIn, copyOut, selectionCondition } from './target.ts'
import { prepare } from './testing/load.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'
import { openTestDuck, type TestDuck, type TextRecord } from './testing/validate.ts'
import {
  beforeTable,
  createBeforeTable,
  createStageTable,
  mergeStage,
  placesBefore,
  stageTable,
} from './upsert.ts'

let postgres: TestPostgres
let duck: TestDuck
beforeAll(async () => {
  postgres = await openTestPostgres()
  duck = await openTestDuck()
})
afterAll(async () => {
  await duck.close()
  await postgres.close()
})

const rows = async (sql: string) => (await postgres.client.query(sql)).rows

describe('loading orders', () => {
  const order = (id: string, modified: string, more: TextRecord = {}): TextRecord => ({
    order_id: id,
    timestamp: '2026-01-31T23:30:00-05:00',
    company: "O'Hara & Söhne",
    warehouse: 'North',
    source_modified_timestamp: modified,
    ...more,
  })
  const merge = async (records: TextRecord[], importNo: number) => {
    const { output } = await prepare({ duck, postgres }, orders, records, importNo)
    await postgres.client.query('begin')
    await postgres.client.query(createStageTable(orders))
    await postgres.copy(copyIn(orders, stageTable(orders)), output)
    await postgres.client.query(createBeforeTable(orders, ['timestamp', 'company', 'warehouse']))
    const [before] = await rows(placesBefore(orders))
    const [{ days, companies, warehouses, ...counts } = {}] = await rows(mergeStage(orders))
    await postgres.client.query(`drop table ${beforeTable(orders)}`)
    await postgres.client.query('commit')
    places = { before, now: { days, companies, warehouses } }
    return counts
  }
  let places: unknown

  test('inserts, updates or keeps rows by hash and version, and keeps the id of the first import', async () => {
    const a = order('A', '2026-02-01 10:00:00')
    const b = order('B', '2026-02-01 10:00:00')
    expect(await merge([a, b], 5)).toEqual({ inserted: '2', updated: '0', unchanged: '0' })
    expect(await merge([b, a], 6)).toEqual({ inserted: '0', updated: '0', unchanged: '2' })
    const changes = [
      order('C', '2026-02-01 10:00:00'),
      order('A', '2026-02-02 10:00:00', { items_count: '7' }),
      order('B', '2026-01-31 10:00:00', { items_count: '9' }),
    ]
    expect(await merge(changes, 7)).toEqual({ inserted: '1', updated: '1', unchanged: '1' })
    const found = await rows(
      'select order_id, id >> 32 as first, import_no, record, items_count from order_detail order by 1',
    )
    expect(found).toEqual([
      { order_id: 'A', first: '5', import_no: 7, record: '2', items_count: 7 },
      { order_id: 'B', first: '5', import_no: 5, record: '2', items_count: null },
      { order_id: 'C', first: '7', import_no: 7, record: '1', items_count: null },
    ])
  })

  test('returns the old and new days of the rows that it writes, and no others', async () => {
    const moved = { timestamp: '2026-03-02T00:30:00-05:00', warehouse: 'South' }
    await merge([order('A', '2026-02-03 10:00:00', moved), order('B', '2026-01-30 10:00:00', moved)], 8)
    const company = ["O'Hara & Söhne"]
    const before = { days: ['2026-01-31'], companies: company, warehouses: ['North'] }
    expect(places).toEqual({
      before,
      now: { days: ['2026-03-02'], companies: company, warehouses: ['South'] },
    })
    await merge([order('A', '2026-02-03 10:00:00', moved)], 9)
    const nothing = { days: [], companies: [], warehouses: [] }
    expect(places).toEqual({ before: nothing, now: nothing })
    await merge([order('A', '2026-02-04 10:00:00')], 10)
    expect(places).toMatchObject({ now: before })
  })

  test('loads another record of the same version, skips an older one, and an unknown version blocks nothing', async () => {
    const amount = async () =>
      (await rows(`select items_count as n from order_detail where order_id = 'V'`))[0]?.n
    const send = (n: string, modified: string, no: number) =>
      merge([order('V', modified, { items_count: n })], no)
    await send('1', '2026-02-01 10:00:00', 11)
    await send('2', '2026-02-01 10:00:00', 12)
    expect(await amount()).toBe(2)
    await send('3', '2026-02-01 09:59:59', 13)
    expect(await amount()).toBe(2)
    await postgres.client.query('alter table order_detail alter source_modified_timestamp drop not null')
    await postgres.client.query(
      `update order_detail set source_modified_timestamp = null where order_id = 'V'`,
    )
    await send('4', '2026-01-01 10:00:00', 14)
    expect(await amount()).toBe(4)
    await postgres.client.query(`delete from order_detail where order_id = 'V'`)
  })

  test('selects days in the zone of the column', async () => {
    const count = async (days: string[] | { from: string; to: string }) =>
      (
        await rows(
          `select count(*)::int as n from order_detail where ${selectionCondition(orders, { days })}`,
        )
      )[0]
    expect(await count(['2026-01-31'])).toEqual({ n: 3 })
    expect(await count(['2026-02-01'])).toEqual({ n: 0 })
    expect(await count({ from: '2026-01-31', to: '2026-02-01' })).toEqual({ n: 3 })
    const image = await postgres.copyOut(copyOut(orders, ['order_id', 'company'], [{ days: ['2026-01-31'] }]))
    expect(image.trimEnd().split('\n')).toHaveLength(4)
    expect(image).toContain("O'Hara & Söhne")
  })
})
