import { randomInt } from 'node:crypto'
import type { Dimension } from '@aduana/contracts/dataset-definition'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCatalogue } from './catalogue.ts'
import { keyLengthProblems } from './key-lengths.ts'
import { SHIPPED } from './shipped.ts'
import { type ColumnInput, definitionWith } from './testing/definitions.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'
import { allTextLimits } from './text-limits.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await openTestPostgres()
  await query(`create table keyed (id bigint, k text unique, a text, b text, c text, d date, n_id bigint, free text);
    create index pair on keyed (a, b); create index covering on keyed (d) include (c);
    create table dim_n (id bigint generated always as identity, code text not null unique, created_by_job uuid)`)
})
afterAll(() => postgres.close())

const query = async (sql: string, values: unknown[] = []) => (await postgres.client.query(sql, values)).rows

const keyed = (columns: ColumnInput[], more: object = {}) =>
  definitionWith(columns, { table: { name: 'keyed' }, ...more })
const text = (name: string, more: Partial<Extract<ColumnInput, { type: 'text' }>> = {}) =>
  ({ name, type: 'text', ...more }) as const
const problems = async (...[definition, before]: [ReturnType<typeof keyed>, ReturnType<typeof keyed>?]) =>
  keyLengthProblems(definition, await readCatalogue(postgres.client, definition), before)
const paths = async (columns: ColumnInput[], more: object = {}) =>
  (await problems(keyed(columns, more))).map(({ path }) => path)

describe('a definition is refused whose written lengths', () => {
  test('allow a text too long for an index', async () => {
    expect(await problems(keyed([text('free'), text('k', { maxLength: 4000 })]))).toEqual([
      {
        path: 'columns[1].maxLength',
        message:
          '"k" (4000 characters of up to 4 bytes) may have 16000 bytes, but an entry of the index "keyed_k_key" can have at most 2680. Set a maxLength of at most 670 or none; without one, only the records that are too long are rejected.',
      },
    ])
    expect(await paths([text('k', { maxLength: 671 })])).toEqual(['columns[0].maxLength'])
    expect(await paths([text('c', { maxLength: 1000 })])).toEqual(['columns[0].maxLength'])
  })

  test('allow texts too long together for an index', async () => {
    const pair = [text('b', { maxLength: 400 }), text('a', { maxLength: 300 })]
    expect(await problems(keyed(pair))).toEqual([
      {
        path: 'columns[1].maxLength',
        message:
          '"a" (300 characters of up to 4 bytes), "b" (400 characters of up to 4 bytes) may have 2800 bytes together, but an entry of the index "pair" can have at most 2672. Set smaller maxLengths, 668 characters together, or none; without one, only the records that are too long are rejected.',
      },
    ])
    const mixed = [text('a', { maxLength: 600 }), text('b', { maxLength: 500, pattern: '[A-Z]+' })]
    expect((await problems(keyed(mixed)))[0]?.message).toMatch(
      /"b" \(500 characters of 1 byte\) may have 2900 bytes together.*Set smaller maxLengths, 2672 bytes together, or/,
    )
  })

  test('allow a code too long for its dimension', async () => {
    const dimension: Dimension = { table: 'dim_n', key: 'code', idColumn: 'n_id', onMissing: 'create' }
    const code = text('n', { maxLength: 671, dimension })
    expect(await paths([code])).toEqual(['columns[0].maxLength'])
    expect(await paths([text('n', { maxLength: 670, dimension })])).toEqual([])
    // A code that is only looked up is stored nowhere.
    expect(await paths([{ ...code, dimension: { ...dimension, onMissing: 'quarantine' } }])).toEqual([])
  })

  test('allow a company, a warehouse or a replace scope too long for windows and metrics', async () => {
    const columns = (maxLength: number) => [text('a', { maxLength }), text('free', { maxLength })]
    const scope = { scope: { company: 'a', warehouse: 'free' } }
    expect(await paths(columns(100), scope)).toEqual([])
    expect(await problems(keyed(columns(101), scope))).toMatchObject([
      {
        path: 'columns[0].maxLength',
        message:
          '"a" may have 101 characters, but the name of a company or warehouse can have at most 100. Set a maxLength of at most 100 or none; without one, only the records that are too long are rejected.',
      },
      { path: 'columns[1].maxLength' },
    ])
    expect(await paths(columns(255), { replaceScope: 'free' })).toEqual([])
    expect(await problems(keyed(columns(256), { replaceScope: 'free' }))).toMatchObject([
      { message: expect.stringMatching(/^"free" .* replaceScope can have at most 1020\. .* at most 255 or/) },
    ])
    expect(await paths([text('a', { enum: ['a'.repeat(101)] })], { scope: { company: 'a' } })).toEqual([
      'columns[0].enum',
    ])
  })

  test('or listed words allow it', async () => {
    const long = 'ñ'.repeat(1341)
    expect(await problems(keyed([text('k', { enum: ['a', long] })]))).toEqual([
      {
        path: 'columns[0].enum',
        message:
          '"k" (the words of enum) may have 2682 bytes, but an entry of the index "keyed_k_key" can have at most 2680. Shorten the words of enum.',
      },
    ])
    const both = [text('a', { enum: [long] }), text('b', { maxLength: 300 })]
    expect((await problems(keyed(both)))[0]?.message).toContain('Shorten the words of enum.')
    // A character of the composed form takes more bytes here.
    expect(await paths([text('k', { enum: ['\u0958'.repeat(600)] })])).toEqual(['columns[0].enum'])
  })
})

describe('a definition is accepted', () => {
  test('with texts that fit, or are in no index', async () => {
    const columns = [text('k', { maxLength: 670 }), text('free', { maxLength: 1_000_000 })]
    expect(await paths([...columns, text('a', { maxLength: 300 }), text('b', { maxLength: 368 })])).toEqual(
      [],
    )
  })

  test('with longer codes that can only be ASCII', async () => {
    const code = text('k', { maxLength: 2680, pattern: '[A-Z0-9-]+' })
    expect(await paths([code])).toEqual([])
    expect(await paths([text('k', { maxLength: 2680, normalise: ['digits-only'] })])).toEqual([])
    expect((await problems(keyed([{ ...code, maxLength: 2681 }])))[0]?.message).toContain(
      'at most 2680 or none',
    )
    expect(await paths([{ ...code, pattern: '.+' }])).toEqual(['columns[0].maxLength'])
  })

  test('without a length of a key: only its records have the limit', async () => {
    expect(await paths([text('k'), text('a', { maxLength: 600 }), text('b')])).toEqual([])
  })

  test('with a length that it already has, but not with a longer one or in another column', async () => {
    const stored = keyed([text('k', { maxLength: 4000 }), text('free', { maxLength: 4000 })])
    const edited = { ...stored, title: { en: 'Other', es: 'Otra' } }
    expect(await problems(edited, stored)).toEqual([])
    expect(await problems(keyed([text('k', { maxLength: 4001 })]), stored)).toHaveLength(1)
    expect(await problems({ ...edited, scope: { company: 'free' } }, stored)).toHaveLength(1)
    expect(await problems(stored, keyed([text('k')]))).toHaveLength(1)
  })

  test.each(SHIPPED.map((definition) => [definition.code, definition] as const))(
    'that is shipped: %s',
    async (_, definition) => expect(await problems(definition)).toEqual([]),
  )
})

/** A text of characters of four bytes each, which neither cleaning nor compression makes shorter. */
const wideText = (characters: number) =>
  Array.from({ length: characters }, () => String.fromCodePoint(randomInt(0xf0000, 0xffffe))).join('')

/** Types of other columns of an index, each with a value that takes the most room. */
const OTHERS = [
  ['integer', '2147483647'],
  ['date', '9998-12-31'],
  ['timestamptz', '9999-12-30 23:59:59.999999+00'],
  ['boolean', 'true'],
  ['numeric(38, 1)', `${'9'.repeat(37)}.9`],
  ['text', 'f'.repeat(32)],
] as const

describe('PostgreSQL accepts the longest allowed texts', () => {
  test.each([
    [1, 'no', 0, false, OTHERS],
    [1, 'other', 3, false, OTHERS],
    [2, 'other', 6, true, OTHERS],
    [3, 'other', 12, true, OTHERS],
    [4, 'other', 28, true, OTHERS],
    [4, 'numeric', 28, false, OTHERS.filter(([type]) => type.startsWith('numeric'))],
    [4, 'hash', 28, true, OTHERS.filter(([type]) => type === 'text')],
  ])(
    'of %i columns in an index beside %s columns (%i), one of them empty: %s',
    async (texts, kind, others, empty, kinds) => {
      const name = `border_${texts}_${kind}_${others}_${empty}`
      const its = Array.from({ length: texts }, (_, index) => `t${index}`)
      const rest = Array.from({ length: others }, (_, index) => kinds[index % kinds.length] ?? OTHERS[0])
      // Between the texts, where they have to be aligned.
      const columns = [
        ...its.map((column) => [column, 'text']),
        ...rest.map(([type], index) => [`o${index}`, type]),
      ]
      const order = columns
        .map(([column]) => column)
        .sort((one, other) => (one ?? '').slice(1).localeCompare((other ?? '').slice(1)))
      await query(`create table ${name} (id bigint, ${columns.map((column) => column.join(' ')).join(', ')}, last text);
      create index on ${name} (${empty ? [...order.slice(1), order[0]].join() : order.join()})`)
      const definition = definitionWith(
        its.map((column) => text(column)),
        { table: { name } },
      )
      const [limit] = allTextLimits(definition, await readCatalogue(postgres.client, definition))
      const most = Math.floor((limit?.most ?? 0) / 4)
      const lengths = its.map((_, index) => Math.floor((most + index) / texts))
      expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(most)
      const written = (more: number) =>
        definitionWith(
          its.map((column, index) =>
            text(column, { maxLength: (lengths[index] ?? 0) + (index === 0 ? more : 0) }),
          ),
          { table: { name } },
        )
      expect(await problems(written(0))).toEqual([])
      expect(await problems(written(1))).toHaveLength(1)
      const insert = (more: number) =>
        query(`insert into ${name} values (1, ${columns.map((_, index) => `$${index + 1}`).join(', ')})`, [
          ...lengths.map((length, index) => wideText(length + (index === 0 ? more : 0))),
          ...rest.map(([, value], index) => (empty && index === 0 ? null : value)),
        ])
      await insert(0)
      // So nothing was compressed.
      await expect(insert(200)).rejects.toThrow('index row size')
    },
  )

  test('as replace scopes in the indexes of windows and owners of days', async () => {
    const tables = ['window_ledger', 'window_ledger_before', 'window_locks', 'window_waiters']
    for (const table of tables) await query(`create table all_${table} (like ${table} including all)`)
    const id = '00000000-0000-4000-8000-000000000001'
    for (let row = 0; row < 100; row++) {
      const scope = wideText(255)
      const values = [id, id, scope]
      await query(
        `insert into all_window_locks (job_id, dataset_id, scope, days) values ($1, $2, $3, '[2026-01-01,2026-02-01)')`,
        values,
      )
      await query(
        `insert into all_window_waiters (job_id, dataset_id, scope, days) values ($1, $2, $3, '[2026-01-01,2026-02-01)')`,
        values,
      )
      await query(
        `insert into all_window_ledger (job_id, dataset_id, scope, day, rows) values ($1, $2, $3, '2026-01-01', 1)`,
        values,
      )
      await query(
        `insert into all_window_ledger_before (job_id, dataset_id, scope, day) values ($1, $2, $3, '2026-01-01')`,
        values,
      )
    }
    expect(await query('select count(*)::int as n from all_window_locks')).toEqual([{ n: 100 }])
  })
})
