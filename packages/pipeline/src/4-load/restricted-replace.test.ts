import { gunzipSync } from 'node:zlib'
import type { Principal } from '@aduana/contracts/identity'
import { findArtifact } from '@aduana/jobs/read/jobs'
import { stateOf, undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { InProcessSystem } from '../testing/in-process-system.ts'
import { ANDINA, createSalesSystem, importAs, salesFile, storedSales } from '../testing/sales.ts'

let system: InProcessSystem
let andina: Principal
let beta: Principal
beforeAll(async () => {
  system = await createSalesSystem()
  andina = await system.addUser('operator', ANDINA)
  beta = await system.addUser('operator', { companies: ['Beta'] })
})
afterAll(() => system.close())
beforeEach(async () => {
  await system.database.pool.query('truncate sale, window_ledger, window_ledger_before')
})

const sale = (day: string, company: string, warehouse: string, item: string, pieces = 1) =>
  `2024-01-0${day},${company},${warehouse},${item},,${pieces},1.00`

/** Returns the rows by day in the table and in the ledger. */
async function days(): Promise<{ table: string[]; ledger: string[] }> {
  const list = async (text: string) =>
    (await system.database.pool.query(text)).rows.map(({ row }: { row: string }) => row)
  return {
    table: await list(`select concat_ws(' ', day, count(*)) as row from sale group by day order by day`),
    ledger: await list(
      `select concat_ws(' ', day, rows) as row from window_ledger where rows > 0 order by day`,
    ),
  }
}

const ofAllCompanies = salesFile(
  sale('1', 'Andina', 'W1', 'a'),
  sale('1', 'Andina', 'W3', 'b'),
  sale('1', 'Andina', '', 'c'),
  sale('1', 'Beta', 'W1', 'd'),
  sale('2', 'Andina', 'W2', 'e'),
  sale('2', 'Beta', 'W1', 'f'),
  sale('3', 'Beta', 'W1', 'g'),
  '2024-01-03,Beta,W1,h,,many,1.00',
)

describe('a load that replaces days, by a user limited to companies and warehouses', () => {
  test('replaces the rows in their scope and keeps the others', async () => {
    await importAs(system, system.admin, ofAllCompanies, { dataset: 'sales' })
    const sent = salesFile(sale('1', 'Andina', 'W2', 'x', 5))
    const job = await importAs(system, andina, sent, {
      dataset: 'sales',
      from: '2024-01-01',
      to: '2024-01-06',
    })
    expect(job.counts).toMatchObject({ inserted: 1, removed: 3 })
    expect(await storedSales(system)).toEqual([
      '2024-01-01,Andina,W3,b,1,1.00',
      '2024-01-01,Andina,W2,x,5,1.00',
      '2024-01-01,Beta,W1,d,1,1.00',
      '2024-01-02,Beta,W1,f,1,1.00',
      '2024-01-03,Beta,W1,g,1,1.00',
    ])
    const { table, ledger } = await days()
    expect(ledger).toEqual(table)
  })

  test('owns only the days that it changed, and keeps open the rejects of rows that stay', async () => {
    const first = await importAs(system, system.admin, ofAllCompanies, { dataset: 'sales' })
    const window = { dataset: 'sales', from: '2024-01-01', to: '2024-01-06' }
    const second = await importAs(system, andina, salesFile(sale('1', 'Andina', 'W1', 'x')), window)
    const found = await system.database.pool.query('select day::text, job_id from window_ledger order by day')
    expect(found.rows).toEqual([
      { day: '2024-01-01', job_id: second.id },
      { day: '2024-01-02', job_id: second.id },
      { day: '2024-01-03', job_id: first.id },
      { day: '2024-01-04', job_id: second.id },
      { day: '2024-01-05', job_id: second.id },
    ])
    await importAs(system, andina, salesFile(sale('3', 'Andina', 'W1', 'x')), { dataset: 'sales' })
    const open = `select count(*)::int as open from quarantined_records where job_id = $1 and state = 'open'`
    expect((await system.database.pool.query(open, [first.id])).rows).toEqual([{ open: 1 }])
    await importAs(system, system.admin, ofAllCompanies, { dataset: 'sales' })
    const own = salesFile(sale('4', 'Andina', 'W1', 'x'), '2024-01-04,Andina,W1,h,,many,1.00')
    const partly = await importAs(system, andina, own, { dataset: 'sales' })
    expect((await system.database.pool.query(open, [partly.id])).rows).toEqual([{ open: 1 }])
    await importAs(system, andina, salesFile(sale('4', 'Andina', 'W1', 'y')), { dataset: 'sales' })
    expect((await system.database.pool.query(open, [partly.id])).rows).toEqual([{ open: 0 }])
  })

  test('can be undone exactly, also after others have loaded the same days', async () => {
    await importAs(system, system.admin, ofAllCompanies, { dataset: 'sales' })
    const state = () => stateOf(system, 'sales', 'sale')
    const [atFirst, rowsAtFirst] = [await state(), await storedSales(system)]
    const first = await importAs(system, andina, salesFile(sale('1', 'Andina', 'W1', 'x')), {
      dataset: 'sales',
      from: '2024-01-01',
      to: '2024-01-06',
    })
    const sent = salesFile(sale('1', 'Beta', 'W1', 'y'), sale('2', 'Beta', 'W1', 'y'))
    const second = await importAs(system, beta, sent, { dataset: 'sales' })
    expect(await undone(system, first.id, { as: andina })).toMatchObject({ status: 'COMPLETED' })
    const own = (row: string) => row.includes('Andina')
    expect((await storedSales(system)).filter(own)).toEqual(rowsAtFirst.filter(own))
    const { table, ledger } = await days()
    expect(ledger).toEqual(table)
    expect(await undone(system, second.id, { as: beta })).toMatchObject({ status: 'COMPLETED' })
    expect(await state()).toBe(atFirst)
  })

  test('can declare a window of their own companies only', async () => {
    const content = salesFile(sale('1', 'Andina', 'W1', 'x'))
    const form = { dataset: 'sales_by_company', from: '2024-01-01', to: '2024-01-02' }
    await expect(importAs(system, andina, content, { ...form, scope: 'Beta' })).rejects.toMatchObject({
      code: 'forbidden',
    })
    const job = await importAs(system, andina, content, { ...form, scope: 'Andina' })
    expect(job.status).toBe('COMPLETED')
  })
})

test('the rows that a limited load replaced are within its scope, and downloadable for users who may see all of them', async () => {
  await importAs(system, system.admin, ofAllCompanies, { dataset: 'sales' })
  const byCompany = await system.addUser('operator', { companies: ['Andina'] })
  const sent = salesFile(sale('1', 'Andina', 'W2', 'x'))
  const { id } = await importAs(system, byCompany, sent, { dataset: 'sales' })
  const name = 'before-image.csv.gz'
  const { key } = await findArtifact(system.database.db, byCompany, id, name)
  const parts: Buffer[] = []
  for await (const part of await system.store.open(key)) parts.push(Buffer.from(part))
  const [header, ...rows] = gunzipSync(Buffer.concat(parts)).toString('utf8').trim().split('\n')
  expect(header).toContain('company')
  expect(rows.map((row) => row.split(',').slice(2, 5).join(','))).toEqual([
    'Andina,W1,a',
    'Andina,W3,b',
    'Andina,,c',
  ])
  const refused = { code: 'not_found' }
  for (const narrower of [
    { ...byCompany, warehouses: ['W1'] },
    { ...byCompany, companies: ['Beta'] },
    { ...byCompany, companies: [] },
    await system.addUser('admin', { companies: ['Andina'], warehouses: ['W1'] }),
    await system.addUser('admin', { companies: ['Beta'] }),
    await system.addUser('operator'),
  ])
    await expect(findArtifact(system.database.db, narrower, id, name)).rejects.toMatchObject(refused)
  expect(await findArtifact(system.database.db, system.admin, id, name)).toMatchObject({ key })
})
