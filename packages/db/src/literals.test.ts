import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { arrayText, literals } from './literals.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())

const TEXTS = ['a', '', 'NULL', `it's`, '"', '\\', 'a,b', '{}', ' x ']

test('texts are the same in a list of literals and in the text of an array', async () => {
  const found = await sql<{ listed: string[]; read: string[] }>`select array[${literals(TEXTS)}] as listed,
    ${arrayText(TEXTS)}::text[] as read, ${arrayText([])}::text[] as none`.execute(database.db)
  expect(found.rows).toEqual([{ listed: TEXTS, read: TEXTS, none: [] }])
})
