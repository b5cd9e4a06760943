import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshRow, type Graph, openGraph, ownerTable, sampleOf, TABLES, VERSIONED } from './testing/graph.ts'
import { KINDS } from './testing/kinds.ts'
import { REFUSALS, SPECIAL_REFUSALS } from './testing/refusals.ts'
import { id, type Row } from './testing/sample-rows.ts'

const CHECK = '23514'
const UNIQUE = '23505'
const NOT_NULL = '23502'
const STATES: Readonly<Record<string, string>> = { c: CHECK, u: UNIQUE, p: UNIQUE, f: '23503', x: '23P01' }

/** Told by tests of their own: the migrations' own table is written by nobody else. */
const NOT_OURS = 'schema_migrations'

let graph: Graph
/** Name of every constraint and unique index → the SQLSTATE that its violation has. */
const known = new Map<string, string>()
beforeAll(async () => {
  graph = await openGraph()
  const rows = await graph.client.query<{ name: string; kind: string }>(`
    select c.conname as name, c.contype as kind from pg_constraint c join pg_class t on t.oid = c.conrelid
      where c.connamespace = 'public'::regnamespace and c.contype not in ('n', 't') and not t.relispartition
        and t.relname <> '${NOT_OURS}'
    union select x.relname, 'u' from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
      where t.relnamespace = 'public'::regnamespace and i.indisunique and not t.relispartition
        and t.relname <> '${NOT_OURS}' and not exists (select from pg_constraint c where c.conindid = i.indexrelid)`)
  for (const row of rows.rows) known.set(row.name, STATES[row.kind] ?? row.kind)
})
afterAll(() => graph.close())

test('every table has a sample row with all of its columns', async () => {
  const found = await graph.client.query<{ table: string; columns: string[] }>(`
    select t.relname as table, array_agg(a.attname::text order by a.attname) as columns
    from pg_class t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    where t.relnamespace = 'public'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition
      and t.relname <> '${NOT_OURS}' group by t.relname`)
  const inDatabase = Object.fromEntries(found.rows.map((row) => [row.table, [...row.columns].sort()]))
  const inSamples = Object.fromEntries(
    TABLES.map((sample) => [sample.table, [...Object.keys(sample.row(1)), ...sample.numbered].sort()]),
  )
  expect(inSamples).toEqual(inDatabase)
})

test('every constraint and unique index in the database is tested here', () => {
  const proved = [...Object.values(REFUSALS).flatMap(Object.keys), ...Object.keys(SPECIAL_REFUSALS)]
  expect(proved.sort()).toEqual([...known.keys()].sort())
})

describe.each(TABLES.map((sample) => sample.table))('%s', (table) => {
  const kinds: readonly Row[] = [{}, ...(KINDS[table] ?? [])]
  test.each(kinds.map((change) => [JSON.stringify(change), change] as const))(
    'reads back a row as it was written, with %s',
    async (_, change) => {
      const row = { ...freshRow(table), ...change }
      const written = await graph.undone(async () => {
        const [versions, owner] =
          Object.entries(VERSIONED).find((entry) => ownerTable(entry[1]) === table) ?? []
        if (versions && owner)
          await graph.client.query(
            `alter table ${versions} drop constraint ${versions}_${owner}_id_fkey;
             create temp table first on commit drop as select * from ${versions} limit 1;
             update first set ${owner}_id = '${id(owner, 3)}';
             insert into ${versions} select * from first`,
          )
        return graph.insert(table, row)
      })
      expect(written).toMatchObject(row)
    },
  )

  test('allows null exactly in the optional columns', async () => {
    const { optional } = sampleOf(table)
    const row = freshRow(table)
    const mayBeEmpty: string[] = []
    for (const column of Object.keys(row)) {
      const error = await graph.refused(() => graph.insert(table, { ...row, [column]: null }))
      if (error?.code === NOT_NULL) expect(error.column).toBe(column)
      // A constraint over several columns may want another one filled in its place.
      else if (error === undefined || error.constraint !== undefined) mayBeEmpty.push(column)
    }
    expect(mayBeEmpty.sort()).toEqual([...optional].sort())
  })

  test('generates the numbers of identity columns', async () => {
    for (const column of sampleOf(table).numbered) {
      const error = await graph.refused(() => graph.insert(table, { ...freshRow(table), [column]: 1 }))
      expect(error?.code, column).toBe('428C9')
    }
  })

  const refusals = Object.entries(REFUSALS[table] ?? {}).flatMap(([constraint, changes]) =>
    changes.map((change) => [constraint, JSON.stringify(change), change] as const),
  )
  test.each(refusals)('%s refuses %s', async (constraint, _, change) => {
    const error = await graph.refused(() => graph.insert(table, { ...freshRow(table), ...change }))
    // The key of a partition bears the partition's name.
    expect(error?.constraint?.replace('_2024_01', '')).toBe(constraint)
    expect(error?.code).toBe(known.get(constraint))
  })
})

const special = Object.entries(SPECIAL_REFUSALS).flatMap(([name, all]) =>
  all.map((sql) => [name, sql] as const),
)
test.each(special)('%s refuses a duplicate number or state', async (constraint, sql) => {
  const error = await graph.refused(() => graph.client.query(sql))
  expect(error?.constraint).toBe(constraint)
  expect(error?.code).toBe(UNIQUE)
})

test('a fact outside the existing months is refused', async () => {
  const row = { ...freshRow('fact_production'), fecha_contabilizacion: '2024-02-01' }
  const error = await graph.refused(() => graph.insert('fact_production', row))
  expect(error?.code).toBe(CHECK)
  expect(error?.message).toContain('no partition')
})

test('a fact is in the partition of its month, with a key that includes its day', async () => {
  await graph.undone(async () => {
    await graph.client.query(
      `create table fact_production_2024_02 partition of fact_production for values from ('2024-02-01') to ('2024-03-01')`,
    )
    const again = {
      ...sampleOf('fact_production').row(1),
      fecha_contabilizacion: '2024-02-01',
    }
    await graph.insert('fact_production', again)
    const places = await graph.client.query(
      'select tableoid::regclass::text as place from fact_production order by fecha_contabilizacion',
    )
    expect(places.rows).toEqual([{ place: 'fact_production_2024_01' }, { place: 'fact_production_2024_02' }])
  })
})

test('a ticket is deleted with its user', async () => {
  await graph.undone(async () => {
    const user = { ...freshRow('users') }
    await graph.insert('users', user)
    await graph.insert('ws_tickets', { ...freshRow('ws_tickets'), user_id: user.id })
    await graph.client.query('delete from users where id = $1', [user.id])
    const left = await graph.client.query('select from ws_tickets where user_id = $1', [user.id])
    expect(left.rowCount).toBe(0)
  })
})
