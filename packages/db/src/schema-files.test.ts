import { readFile } from 'node:fs/promises'
import { serviceUrl } from '@aduana/testkit/settings'
import { beforeAll, expect, test } from 'vitest'
import { describeMigrations, SCHEMA_DUMP, SCHEMA_TYPES, type SchemaFiles } from './schema-files.ts'

const STALE = `is not what the migrations make. Run "TEST_DATABASE_URL=postgres://… pnpm --filter @aduana/db run schema" and commit the result.`

let fresh: SchemaFiles
beforeAll(async () => {
  fresh = await describeMigrations(serviceUrl('TEST_DATABASE_URL'))
})

test('the schema dump in the repository is the schema of the migrations', async () => {
  expect(await readFile(SCHEMA_DUMP, 'utf8'), `${SCHEMA_DUMP} ${STALE}`).toBe(fresh.dump)
})

test('the generated types are those of the schema of the migrations', async () => {
  expect(await readFile(SCHEMA_TYPES, 'utf8'), `${SCHEMA_TYPES} ${STALE}`).toBe(fresh.types)
})
