import { writeFile } from 'node:fs/promises'
import { describeMigrations, SCHEMA_DUMP, SCHEMA_TYPES } from './schema-files.ts'

// Writes the two files that follow from the migrations; run it after every change of them.
const url = process.env.TEST_DATABASE_URL
if (url === undefined || url === '')
  throw new Error('Set TEST_DATABASE_URL to a PostgreSQL server on which a database may be created.')
const { dump, types } = await describeMigrations(url)
await writeFile(SCHEMA_DUMP, dump)
await writeFile(SCHEMA_TYPES, types)
