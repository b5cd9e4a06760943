import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { inTransaction } from '@aduana/db/database'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  findDataset,
  holdDataset,
  listDatasets,
  readDataset,
  readDefinition,
  registerDatasets,
  writeDatasetVersion,
} from './registry.ts'
import { orders } from './shipped/orders.ts'
import { SHIPPED } from './shipped.ts'

let database: TestDatabase
let userId: string
beforeAll(async () => {
  database = await createTestDatabase()
  const user = await database.db
    .insertInto('users')
    .values({ email: 'admin@test.local', password_hash: 'none', role: 'admin' })
    .returning('id')
    .executeTakeFirstOrThrow()
  userId = user.id
})
afterAll(() => database.drop())

const titled = (code: string, en: string) =>
  DatasetDefinition.parse({ ...orders, code, title: { en, es: en } })
const ship = (...definitions: DatasetDefinition[]) => registerDatasets(database.db, definitions)
const change = (definition: DatasetDefinition) =>
  inTransaction(database.db, async (tx) =>
    writeDatasetVersion(tx, definition, await readDataset(tx, definition.code), userId),
  )
const present = async (code: string) => {
  const { version, definition, createdBy } = await readDataset(database.db, code)
  return [version, definition.title.en, createdBy]
}

test('a shipped dataset is registered once, and follows the program until a user changes it', async () => {
  expect(await ship(titled('followed', 'One'))).toEqual([])
  expect(await ship(titled('followed', 'One'))).toEqual([])
  expect(await present('followed')).toEqual([1, 'One', null])
  expect(await ship(titled('followed', 'Two'))).toEqual([])
  expect(await present('followed')).toEqual([2, 'Two', null])
})

test('a dataset that a user has changed stays so until a shipped definition is restored', async () => {
  await ship(titled('changed', 'One'))
  await change(titled('changed', 'Own'))
  expect(await ship(titled('changed', 'Two'))).toEqual(['changed'])
  expect(await present('changed')).toEqual([2, 'Own', userId])
  await change(titled('changed', 'One'))
  expect(await ship(titled('changed', 'Two'))).toEqual([])
  expect(await present('changed')).toEqual([4, 'Two', null])
})

test('open jobs keep the version that they were accepted with', async () => {
  await ship(titled('kept', 'One'))
  const { id } = await readDataset(database.db, 'kept')
  await ship(titled('kept', 'Two'))
  expect((await readDefinition(database.db, id, 1)).title.en).toBe('One')
  expect((await readDefinition(database.db, id, 2)).title.en).toBe('Two')
})

test('a dataset is found by its code or its id; the error for an unknown one lists the known ones', async () => {
  await ship(titled('found', 'One'))
  const { id } = await readDataset(database.db, 'found')
  expect(await findDataset(database.db, 'found')).toMatchObject({ id, code: 'found' })
  expect(await findDataset(database.db, id)).toMatchObject({ id, code: 'found' })
  for (const name of ['missing', '0000000f-0000-4000-8000-00000000dead'])
    await expect(findDataset(database.db, name)).rejects.toMatchObject({
      code: 'unknown_dataset',
      message: expect.stringContaining('found'),
    })
  const codes = (await listDatasets(database.db)).map(({ code }) => code)
  expect(codes).toEqual(expect.arrayContaining(SHIPPED.map(({ code }) => code)))
  expect(codes).toEqual([...codes].sort())
})

test('a locked dataset does not change before the end of the transaction', async () => {
  await ship(titled('held', 'One'))
  const changing = await inTransaction(database.db, async (tx) => {
    await holdDataset(tx, 'held')
    const locked = await database.pool.query(
      `select from datasets where code = 'held' for no key update skip locked`,
    )
    return locked.rowCount
  })
  expect(changing).toBe(0)
})
