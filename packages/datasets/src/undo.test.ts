import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { presentRows } from './present-rows.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'
import {
  absentRows,
  countWrittenOfImage,
  countWrittenOfImported,
  createImageTable,
  deleteImported,
  imageTable,
  laterWriters,
  restoreRows,
} from './undo.ts'

/** Things by their key; others write the note. */
const things = DatasetDefinition.parse({
  code: 'things',
  title: { en: 'Things', es: 'Cosas' },
  table: { name: 'things' },
  columns: [
    { name: 'key', type: 'text', required: true },
    { name: 'day', type: 'date', required: true },
    { name: 'n', type: 'integer' },
    { name: 'note', type: 'text', managed: true },
  ],
  loadMode: 'upsert',
  key: ['key'],
  windowColumn: 'day',
})
const appended = DatasetDefinition.parse({ ...things, loadMode: 'append', key: undefined })

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await openTestPostgres()
  await postgres.client.query(`create table things (id bigint primary key, key text unique, day date, n integer,
    note text, import_no integer, record bigint, row_hash text)`)
})
afterAll(() => postgres.close())
beforeEach(async () => {
  await postgres.client.query('begin')
  return async () => {
    await postgres.client.query('rollback')
  }
})

const rows = async (sql: string) => (await postgres.client.query(sql)).rows
/** A row that import `by` brought as its `record`-th, and import `last` wrote last. */
const stored = (key: string, by: number, record: number, last = by, n = 1, day = '2024-01-01') =>
  postgres.client.query(
    `insert into things values (${by}::bigint << 32 | ${record}, $1, $2, $3, 'note', ${last}, 1, 'hash')`,
    [key, day, n],
  )
/** The before-image of import 2. */
const image = async (...keys: { key: string; by: number; record: number; n: number }[]) => {
  await postgres.client.query(
    createImageTable(things, 2, ['id', 'key', 'day', 'n', 'note', 'import_no', 'record', 'row_hash']),
  )
  for (const { key, by, record, n } of keys)
    await postgres.client.query(
      `insert into ${imageTable(2)} values (${by}::bigint << 32 | ${record}, $1, '2023-12-31', $2, 'old note', ${by}, 1, 'old')`,
      [key, n],
    )
}
const left = async () =>
  (await rows('select key, n, note, import_no from things order by key')).map(Object.values)

describe('the undo of an upsert', () => {
  beforeEach(async () => {
    await stored('first', 2, 1)
    await stored('last', 2, 4_294_967_295)
    await stored('before', 1, 4_294_967_295)
    await stored('after', 3, 0)
    await stored('changed since', 2, 2, 3)
  })

  test('deletes the rows that it inserted and that it wrote last, and no others', async () => {
    await postgres.client.query(deleteImported(things, 2))
    expect((await left()).map(([key]) => key)).toEqual(['after', 'before', 'changed since'])
  })

  test('knows who has changed its rows since, inserted and changed ones', async () => {
    await image({ key: 'before', by: 1, record: 4_294_967_295, n: 0 })
    expect(await rows(laterWriters(things, 2))).toEqual(
      expect.arrayContaining([{ import_no: 3 }, { import_no: 1 }]),
    )
    await rows(`update things set import_no = 2 where key = 'before'`)
    expect(await rows(laterWriters(things, 2))).toEqual([{ import_no: 3 }])
    await rows(`update things set import_no = 7 where key = 'before'`)
    await rows(`update things set import_no = 2 where key = 'changed since'`)
    expect(await rows(laterWriters(things, 2))).toEqual([{ import_no: 7 }])
  })

  test('restores the rows that it wrote last, except the columns of other programs, and counts the deleted ones', async () => {
    await stored('mine', 1, 5, 2, 20)
    await stored('theirs', 1, 6, 3, 30)
    await image(
      { key: 'mine', by: 1, record: 5, n: 10 },
      { key: 'theirs', by: 1, record: 6, n: 10 },
      { key: 'gone', by: 1, record: 7, n: 10 },
    )
    expect((await postgres.client.query(restoreRows(things, 2))).rowCount).toBe(1)
    expect(await rows(absentRows(things, 2))).toEqual([{ absent: '1' }])
    const found = (await left()).filter(([key]) => key === 'mine' || key === 'theirs')
    expect(found).toEqual([
      ['mine', 10, 'note', 1],
      ['theirs', 30, 'note', 3],
    ])
  })
})

test('the undo of an append deletes its rows, and reads only their days if these are known', async () => {
  await stored('a', 2, 1, 2, 1, '2024-01-01')
  await stored('b', 2, 2, 2, 1, '2024-01-02')
  await stored('c', 3, 1, 3, 1, '2024-01-01')
  await postgres.client.query(deleteImported(appended, 2, { from: '2024-01-01', to: '2024-01-02' }))
  expect((await left()).map(([key]) => key)).toEqual(['b', 'c'])
  await postgres.client.query(deleteImported(appended, 2))
  expect((await left()).map(([key]) => key)).toEqual(['c'])
})

test('rows of the current transaction are distinguished from existing ones', async () => {
  await stored('a', 2, 1)
  await postgres.client.query('commit')
  await postgres.client.query('begin')
  await stored('b', 2, 2)
  await stored('c', 1, 1, 2)
  await image({ key: 'c', by: 1, record: 1, n: 0 }, { key: 'a', by: 2, record: 1, n: 0 })
  expect(await rows(countWrittenOfImported(things, 2))).toEqual([{ rows: '1' }])
  expect(await rows(countWrittenOfImage(things, 2))).toEqual([{ rows: '1' }])
  await postgres.client.query('rollback')
  await postgres.client.query('truncate things')
  await postgres.client.query('begin')
})

test('existing rows of an append are counted with repetitions', async () => {
  await rows('alter table things drop constraint things_key_key')
  for (const record of [1, 2, 3]) await stored('same', 2, record)
  await stored('other', 2, 4)
  const days = ['2024-01-01']
  const present = async () => (await rows(presentRows(appended, 2, [{ days }])))[0]
  expect(await present()).toEqual({ rows: '0' })
  await stored('same', 1, 1)
  await stored('same', 3, 1)
  await stored('other', 1, 2, 1, 9)
  expect(await present()).toEqual({ rows: '2' })
  await stored('same', 1, 3, 1, 1, '2024-01-02')
  expect(await present(), 'of another day').toEqual({ rows: '2' })
})
