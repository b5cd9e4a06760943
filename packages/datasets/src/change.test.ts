import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { ProblemError } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCatalogue } from './catalogue.ts'
import { changeProblems } from './change.ts'
import { readDefinitionOf } from './definition-input.ts'
import { engineProblems } from './engine-problems.ts'
import { placementOf } from './placement.ts'
import { metricResults } from './shipped/metric-results.ts'
import { orders } from './shipped/orders.ts'
import { production } from './shipped/production.ts'
import { SHIPPED } from './shipped.ts'
import { definitionWith } from './testing/definitions.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await openTestPostgres()
  await postgres.client.query(`create schema plant;
    create table plant.scrap (id bigint primary key, day date not null, kilos numeric(12, 3));
    create table plant.months (id bigint, day date not null) partition by range (day);
    create table plant.months_2026_01 partition of plant.months for values from ('2026-01-01') to ('2026-02-01')`)
})
afterAll(() => postgres.close())

const wrong = async (definition: DatasetDefinition, before?: DatasetDefinition, tableOf?: string) =>
  changeProblems(definition, {
    before,
    catalogue: await readCatalogue(postgres.client, definition),
    tableOf,
  }).map(({ path, code }) => `${path} ${code}`)
const scrap = (table: { schema?: string; name: string }, more: object = {}) =>
  definitionWith([{ name: 'day', type: 'date', required: true }], { table, windowColumn: 'day', ...more })

describe('a changed definition', () => {
  test.each(SHIPPED.map((definition) => [definition.code, definition] as const))(
    'can be the shipped one of %s',
    async (_, definition) => {
      expect(await wrong(definition, definition)).toEqual([])
    },
  )

  test('can have other rules, aliases, formats, limits and titles', async () => {
    const columns = orders.columns.map((column) => ({ ...column, aliases: [`${column.name} of old`] }))
    const changed = { ...orders, columns, maxRejectRatio: 1, quarantineCap: 5, title: { en: 'O', es: 'P' } }
    expect(await wrong(changed, orders)).toEqual([])
    expect(await wrong({ ...production, loadMode: 'append', maxWindowDays: 7 }, production)).toEqual([])
  })

  test('keeps its table, its origin, and whether its rows have a key', async () => {
    expect(await wrong({ ...orders, table: production.table, origin: 'runs' }, orders)).toEqual(
      expect.arrayContaining(['table fixed', 'origin fixed']),
    )
    expect(await wrong({ ...orders, loadMode: 'append' }, orders)).toContain('loadMode fixed')
    expect(await wrong({ ...production, loadMode: 'upsert', key: ['lote'] }, production)).toEqual(
      expect.arrayContaining(['loadMode fixed', 'key table_differs']),
    )
  })

  test('of a dataset that the program uses can only change its titles and retention', async () => {
    const renamed = { ...metricResults, title: { en: 'R', es: 'R' } }
    expect(
      await wrong({ ...renamed, retention: { ...renamed.retention, undoDays: 1 } }, metricResults),
    ).toEqual([])
    expect(await wrong({ ...metricResults, maxRejectRatio: 1 }, metricResults)).toEqual([' fixed'])
  })

  test('is refused with all contradictions and misfits at once, each with its path', async () => {
    const [first, ...others] = production.columns
    const columns = [
      ...others,
      ...(first ? [{ ...first, required: false }] : []),
      { ...definitionWith([{ name: 'nowhere', type: 'integer', min: 2, max: 1 }]).columns[0] },
    ] as DatasetDefinition['columns']
    expect(await wrong({ ...production, columns }, production)).toEqual([
      'columns[9] contradiction',
      'columns[8] table_differs',
      'columns[9] table_differs',
    ])
  })

  test('can look up codes only in tables of dimensions', async () => {
    const dimension = {
      table: 'event_log',
      key: 'event_key',
      idColumn: 'kilos',
      onMissing: 'quarantine',
    } as const
    const definition = definitionWith([{ name: 'code', type: 'text', dimension }], {
      table: { schema: 'plant', name: 'scrap' },
    })
    expect(await wrong(definition)).toContain('columns[0].dimension.table program_table')
  })
})

describe('a new definition', () => {
  test('needs an existing table outside the schemas of the program and the server', async () => {
    expect(await wrong(scrap({ schema: 'plant', name: 'scrap' }))).toEqual([])
    expect(await wrong(scrap({ schema: 'plant', name: 'nothing' }))).toEqual(['table table_differs'])
    for (const schema of ['public', 'information_schema', 'pg_catalog', 'pg_toast'])
      expect(await wrong(scrap({ schema, name: 'users' }))).toContain('table.schema program_table')
  })

  test('needs its own table, as a whole', async () => {
    const taken = await wrong(scrap({ schema: 'plant', name: 'scrap' }), undefined, 'waste')
    expect(taken).toEqual(['table table_taken'])
    expect(await wrong(scrap({ schema: 'plant', name: 'months_2026_01' }))).toEqual(['table program_table'])
  })

  test('needs a table that the program can write', async () => {
    const role = `reader_${process.pid}`
    await postgres.client.query(`create role ${role}; grant usage on schema plant to ${role};
      grant select on plant.scrap to ${role}; set role ${role}`)
    try {
      expect(await wrong(scrap({ schema: 'plant', name: 'scrap' }))).toEqual(['table not_writable'])
    } finally {
      await postgres.client.query(`reset role; drop owned by ${role}; drop role ${role}`)
    }
  })

  test('must load files', async () => {
    expect(await wrong(scrap({ schema: 'plant', name: 'scrap' }, { origin: 'runs' }))).toEqual([
      'origin fixed',
    ])
  })
})

describe('a submitted definition', () => {
  const refused = (code: string, input: unknown) => {
    try {
      readDefinitionOf(code, input)
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'invalid_dataset') return error.extra.problems
      throw error
    }
    throw new Error('it was accepted')
  }
  const { code: _, ...body } = orders

  test('has the code of its address, whatever the order of its fields', () => {
    expect(readDefinitionOf('orders', body)).toEqual(orders)
    const reversed = Object.fromEntries(Object.entries(orders).reverse())
    expect(JSON.stringify(readDefinitionOf('orders', reversed))).toBe(JSON.stringify(orders))
    expect(refused('sales', orders)).toMatchObject([{ path: 'code', code: 'invalid' }])
  })

  test('is refused with all malformed fields and their paths', () => {
    const columns = [
      { name: 'A', type: 'text' },
      { name: 'b', type: 'magic' },
    ]
    expect(
      refused('x', { ...body, columns, loadMode: 'guess', title: { en: 'nul \0', es: '\uD800' } }),
    ).toMatchObject([
      { path: 'columns[0].name' },
      { path: 'columns[1].type' },
      { path: 'loadMode' },
      { path: 'title.en' },
      { path: 'title.es' },
    ])
    let assert: object = { op: 'present', column: 'order_id' }
    for (let depth = 0; depth < 5000; depth++) assert = { op: 'not', of: assert }
    expect(refused('orders', { ...body, rules: [{ code: 'r', message: 'm', assert }] })).toHaveLength(1)
    for (const nothing of [undefined, null, [], 'x', 7]) expect(refused('x', nothing)).toHaveLength(1)
  })

  test('needs time zones, not offsets, which PostgreSQL reads with the opposite sign', async () => {
    const columns = orders.columns.map((column) =>
      column.type === 'timestamp' ? { ...column, timeZone: '+05:00' } : column,
    )
    expect(await wrong({ ...orders, columns }, orders)).toContain('columns[2] contradiction')
  })
})

test('patterns are tested in the engine, unless they are already in use', async () => {
  const definition = definitionWith([
    { name: 'fine', type: 'text', pattern: 'M\\d{3}' },
    { name: 'ahead', type: 'text', pattern: '(?=a)b' },
    { name: 'open', type: 'text', pattern: '(' },
  ])
  expect(await engineProblems(definition, undefined, [])).toMatchObject([
    { path: 'columns[1].pattern', code: 'pattern' },
    { path: 'columns[2].pattern', code: 'pattern' },
  ])
  expect(await engineProblems(definition, definition, [])).toEqual([])
})

test('rows change their days or scopes only with another day column, time zone or scope', () => {
  const own = placementOf(orders)
  const zoned = orders.columns.map((column) =>
    column.type === 'timestamp' ? { ...column, timeZone: 'UTC' } : column,
  )
  expect(placementOf({ ...orders, columns: zoned })).not.toBe(own)
  expect(placementOf({ ...orders, windowColumn: 'source_modified_timestamp' })).not.toBe(own)
  expect(placementOf({ ...orders, replaceScope: 'company' })).not.toBe(own)
  expect(placementOf({ ...orders, scope: { company: 'company' } })).not.toBe(own)
  const columns = orders.columns.map((column) => ({ ...column, aliases: [], restricted: true }))
  expect(placementOf({ ...orders, columns, rules: [], maxWindowDays: 1, loadMode: 'append' })).toBe(own)
})
