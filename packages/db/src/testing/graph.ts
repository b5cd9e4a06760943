import { createTestDatabase } from '@aduana/testkit/database'
import pg from 'pg'
import { HISTORY } from './sample-history.ts'
import { METRICS } from './sample-metrics.ts'
import { id, type Row, SAMPLES, type SampleTable } from './sample-rows.ts'
import { TARGETS } from './sample-targets.ts'

export const TABLES: readonly SampleTable[] = [...SAMPLES, ...HISTORY, ...METRICS, ...TARGETS]

/** The sample of a table. */
export function sampleOf(table: string): SampleTable {
  const found = TABLES.find((sample) => sample.table === table)
  if (!found) throw new Error(`there is no sample row of ${table}`)
  return found
}

/** What the base holds beside one row of every table: second ones, for others to point at. */
const SECONDS = new Set(['jobs', 'datasets', 'series', 'metrics', 'metric_runs'])

/** Tables of versions with the tables that they belong to. Every versioned row has a first version. */
export const VERSIONED: Readonly<Record<string, 'dataset' | 'metric' | 'series'>> = {
  dataset_versions: 'dataset',
  metric_versions: 'metric',
  series_versions: 'series',
}

/** The table of what has versions. */
export function ownerTable(owner: 'dataset' | 'metric' | 'series'): string {
  return owner === 'series' ? 'series' : `${owner}s`
}

/** A row that differs in every key from all that the base holds. */
export function freshRow(table: string): Row {
  return sampleOf(table).row(SECONDS.has(table) ? 3 : 2)
}

/** One connection inside one transaction, which holds a row of every table. Nothing is ever committed. */
export interface Graph {
  client: pg.PoolClient
  /** Inserts a row and returns it as stored. Deferred constraints are checked at once. */
  insert(table: string, row: Row): Promise<Row>
  /** Runs `work`, rolls it back, and returns its result. */
  undone<T>(work: () => Promise<T>): Promise<T>
  /** Runs `work`, which must fail in PostgreSQL, rolls it back, and returns the error; undefined if it did not fail. */
  refused(work: () => Promise<unknown>): Promise<pg.DatabaseError | undefined>
  close(): Promise<void>
}

/** Opens a database with the base rows in a transaction that stays open. */
export async function openGraph(): Promise<Graph> {
  const database = await createTestDatabase()
  const client = await database.pool.connect()
  const jsonColumns = new Set(
    (
      await client.query<{
        name: string
      }>(`select attrelid::regclass || '.' || attname as name from pg_attribute
        where atttypid = 'jsonb'::regtype and attnum > 0 and not attisdropped`)
    ).rows.map((row) => row.name),
  )
  const write = async (table: string, row: Row) => {
    const columns = Object.keys(row)
    const values = columns.map((column) =>
      jsonColumns.has(`${table}.${column}`) && row[column] !== null
        ? JSON.stringify(row[column])
        : row[column],
    )
    const list = columns.map((column) => pg.escapeIdentifier(column)).join(', ')
    const places = columns.map((_, index) => `$${index + 1}`).join(', ')
    const written = await client.query<Row>(
      `insert into ${table} (${list}) values (${places}) returning *`,
      values,
    )
    return written.rows[0] ?? {}
  }
  const undone = async <T>(work: () => Promise<T>): Promise<T> => {
    await client.query('savepoint before')
    try {
      return await work()
    } finally {
      await client.query('rollback to savepoint before')
    }
  }

  await client.query('begin')
  await client.query('delete from dataset_versions; delete from datasets')
  await client.query(
    `create table fact_production_2024_01 partition of fact_production for values from ('2024-01-01') to ('2024-02-01')`,
  )
  for (const sample of TABLES) {
    await write(sample.table, sample.row(1))
    if (SECONDS.has(sample.table)) await write(sample.table, sample.row(2))
    const owner = VERSIONED[sample.table]
    if (owner) await write(sample.table, { ...sample.row(1), [`${owner}_id`]: id(owner, 2) })
  }
  await client.query('set constraints all immediate; set constraints all deferred')

  return {
    client,
    undone,
    insert: async (table, row) => {
      const written = await write(table, row)
      await client.query('set constraints all immediate')
      return written
    },
    refused: async (work) => {
      try {
        await undone(work)
        return undefined
      } catch (error) {
        if (error instanceof pg.DatabaseError) return error
        throw error
      }
    },
    close: async () => {
      await client.query('rollback')
      client.release()
      await database.drop()
    },
  }
}
