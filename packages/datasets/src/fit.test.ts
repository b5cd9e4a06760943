import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCatalogue } from './catalogue.ts'
import { checkFit } from './fit.ts'
import { SHIPPED } from './shipped.ts'
import { definitionWith } from './testing/definitions.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await openTestPostgres()
})
afterAll(async () => {
  await postgres.close()
})

const problems = async (definition: (typeof SHIPPED)[number]) =>
  checkFit(definition, await readCatalogue(postgres.client, definition))

describe('a definition and its table', () => {
  test.each(SHIPPED.map((definition) => [definition.code, definition] as const))(
    'fit together as shipped: %s',
    async (_, definition) => {
      expect(await problems(definition)).toEqual([])
    },
  )

  test('are refused if the table does not exist', async () => {
    expect(await problems(definitionWith([{ name: 'a', type: 'text' }]))).toEqual([
      'there is no table "public.things"',
    ])
  })

  test('that differ in type, length, precision, null, key, partitions or dimensions are refused with the difference', async () => {
    await postgres.client.query(`create table misfit (id integer, n smallint, d numeric(5,2), x varchar(10) not null,
      at timestamp, f date, other integer not null, made integer generated always as (1) stored, row_hash text, import_no int)
      partition by range (f)`)
    await postgres.client.query('create unique index on misfit (f, x) where false is null')
    const definition = definitionWith(
      [
        { name: 'n', type: 'integer' },
        { name: 'd', type: 'decimal', precision: 5, scale: 3 },
        { name: 'x', type: 'text', maxLength: 11 },
        { name: 'at', type: 'timestamp' },
        { name: 'f', type: 'date', required: true },
        { name: 'made', type: 'integer' },
        { name: 'gone', type: 'boolean' },
        {
          name: 'code',
          type: 'text',
          dimension: { table: 'dim_none', key: 'codigo', idColumn: 'made_id', onMissing: 'create' },
        },
        {
          name: 'user',
          type: 'text',
          dimension: { table: 'users', key: 'name', idColumn: 'n2', onMissing: 'create' },
        },
      ],
      { table: { name: 'misfit' }, loadMode: 'upsert', key: ['f', 'x'] },
    )
    expect(await problems(definition)).toEqual([
      'column "id" of table "misfit" has the type integer, but must be bigint',
      'column "n" of table "misfit" has the type smallint, but the definition requires an integer of 32 bits',
      'column "d" of table "misfit" has the type numeric(5,2), but the definition requires numeric(5,3)',
      'column "x" of table "misfit" has the type character varying(10), but the definition requires text of 11 characters',
      'column "x" of table "misfit" must not be null, but the definition does not require "x"',
      'column "at" of table "misfit" has the type timestamp without time zone, but the definition requires timestamp with time zone',
      'column "made" of table "misfit" is generated always, so no load can fill it',
      'there is no column "gone" of table "misfit"',
      'there is no column "made_id" of table "misfit"',
      'there is no column "n2" of table "misfit"',
      'there is no column "record" of table "misfit"',
      'column "other" of table "misfit" must not be null, but no load fills it',
      'table "misfit" has no unique constraint on (f, x), the key of the upsert',
      'table "misfit" is partitioned, but the definition is not',
      'there is no table "dim_none", the dimension of column "code"',
      'dimension table "users" has no column "id" of type bigint',
      'dimension table "users" has no column "created_by_job" of type uuid',
      'column "email" of dimension table "users" must not be null, but no load fills it',
      'column "password_hash" of dimension table "users" must not be null, but no load fills it',
      'column "role" of dimension table "users" must not be null, but no load fills it',
      'dimension table "users" has no unique constraint on (name)',
    ])
  })

  test('are refused if the table is not partitioned by the window column', async () => {
    await postgres.client.query('create table flat (id bigint, f date)')
    const definition = definitionWith([{ name: 'f', type: 'date', required: true }], {
      table: { name: 'flat' },
      windowColumn: 'f',
      partitioned: true,
    })
    expect(await problems(definition)).toEqual(['table "flat" is not partitioned by range of "f"'])
  })
})
