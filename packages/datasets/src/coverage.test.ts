import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Coverage, coveredRows, coversAll, unionOfLists } from './coverage.ts'
import { uncoveredDays } from './stored-rows.ts'
import { deleteRowsByDay } from './target.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'
import { createStageTable, foreignKeys } from './upsert.ts'

const things = DatasetDefinition.parse({
  code: 'things',
  title: { en: 'Things', es: 'Cosas' },
  table: { name: 'things' },
  columns: [
    { name: 'key', type: 'text', required: true },
    { name: 'day', type: 'date', required: true },
    {
      name: 'company',
      type: 'text',
      dimension: { table: 'dim_company', key: 'name', idColumn: 'company_id', onMissing: 'create' },
    },
    { name: 'warehouse', type: 'integer' },
  ],
  key: ['key'],
  loadMode: 'upsert',
  windowColumn: 'day',
  scope: { company: 'company', warehouse: 'warehouse' },
})

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await openTestPostgres()
  await postgres.client.query(`
    create table dim_company (id bigint primary key, name text not null);
    insert into dim_company values (1, 'Andina'), (2, 'it''s Beta');
    create table things (id bigint, key text, day date, company_id bigint, warehouse integer,
      import_no integer, record bigint, row_hash text);
    insert into things (id, key, day, company_id, warehouse) values
      (1, 'a', '2024-01-01', 1, 7), (2, 'b', '2024-01-01', 2, 7), (3, 'c', '2024-01-02', 1, 8),
      (4, 'd', '2024-01-03', null, 7), (5, 'e', '2024-01-03', 1, null)`)
})
afterAll(() => postgres.close())

const CASES: [string, Coverage, string[]][] = [
  ['everything', { companies: null, warehouses: null }, ['a', 'b', 'c', 'd', 'e']],
  ['a company', { companies: [`it's Beta`], warehouses: null }, ['b', 'd']],
  ['a warehouse', { companies: null, warehouses: ['7'] }, ['a', 'b', 'd', 'e']],
  ['both', { companies: ['Andina'], warehouses: ['8'] }, ['c', 'e']],
  ['nothing', { companies: [], warehouses: [] }, []],
]

describe('a coverage', () => {
  test.each(CASES)('of %s includes its rows, and rows without a company', async (_name, coverage, keys) => {
    const condition = coveredRows(things, coverage) ?? 'true'
    const found = await postgres.client.query(`select key from things where ${condition} order by key`)
    expect(found.rows.map(({ key }) => key)).toEqual(keys)
    expect(coversAll(things, coverage)).toBe(keys.length === 5)
  })

  test('of a dataset without scope has no effect', () => {
    const { scope: _, ...open } = things
    expect(coversAll(open, { companies: [], warehouses: [] })).toBe(true)
    expect(coversAll({ ...open, scope: { company: 'company' } }, { companies: null, warehouses: [] })).toBe(
      true,
    )
  })

  test('returns the days with other rows', async () => {
    const range = { from: '2024-01-01', to: '2024-01-04' }
    const coverage = { companies: ['Andina'], warehouses: ['7'] }
    const found = await postgres.client.query(`${uncoveredDays(things, range, coverage)} order by 2`)
    expect(found.rows.map(({ day }) => day)).toEqual(['2024-01-01', '2024-01-02'])
  })

  test('limits which rows are deleted, and which an upsert may take over', async () => {
    const coverage = { companies: ['Andina'], warehouses: ['7'] }
    await postgres.client.query('begin')
    await postgres.client.query(createStageTable(things))
    await postgres.client.query(`insert into pg_temp.stage_things (key) values ('a'), ('b'), ('c')`)
    const foreign = await postgres.client.query(foreignKeys(things, coverage) ?? '')
    expect(foreign.rows).toEqual([{ rows: '2', example: 'b' }])
    const days = { from: '2024-01-01', to: '2024-01-04' }
    const gone = await postgres.client.query(`${deleteRowsByDay(things, { days, coverage })} order by 2`)
    expect(gone.rows).toEqual([
      { scope: '', day: '2024-01-01', rows: '1' },
      { scope: '', day: '2024-01-03', rows: '2' },
    ])
    await postgres.client.query('rollback')
  })
})

test('the union of lists is sorted, without repetitions, and unlimited if one of the lists is', () => {
  expect(unionOfLists([['B', 'A'], [], ['C', 'B']])).toEqual(['A', 'B', 'C'])
  expect(unionOfLists([])).toEqual([])
  expect(unionOfLists([['A'], null])).toBeNull()
})
