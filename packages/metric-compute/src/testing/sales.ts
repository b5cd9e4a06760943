import { randomUUID } from 'node:crypto'
import { DatasetDefinition, type DatasetDefinitionInput } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { MetricDefinition, type MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { type ComputeOptions, computeMetrics } from '../compute/compute.ts'
import type { RunResult } from '../compute/write-values.ts'
import type { SeriesPlace } from '../series-place.ts'
import { type OracleRow, scaled } from './oracle.ts'

type ColumnInput = DatasetDefinitionInput['columns'][number]

const scope: ColumnInput[] = [
  { name: 'company', type: 'text', required: true },
  { name: 'warehouse', type: 'text', required: true },
]

/** Sales by day; `product` is in a dimension. */
const sales = DatasetDefinition.parse({
  code: 'sales',
  title: { en: 'Sales', es: 'Ventas' },
  table: { name: 'test_sales' },
  columns: [
    { name: 'day', type: 'date', required: true },
    ...scope,
    { name: 'amount', type: 'decimal', precision: 12, scale: 3 },
    { name: 'units', type: 'integer' },
    { name: 'shift', type: 'integer', min: 1, max: 3 },
    { name: 'kind', type: 'text' },
    { name: 'channel', type: 'text', enum: ['web', 'shop', 'phone'] },
    { name: 'paid', type: 'boolean' },
    {
      name: 'product',
      type: 'text',
      maxLength: 20,
      dimension: { table: 'dim_maquina', key: 'codigo', idColumn: 'product_id', onMissing: 'create' },
    },
    { name: 'rank', type: 'integer' },
  ],
  loadMode: 'replace-window',
  windowColumn: 'day',
  scope: { company: 'company', warehouse: 'warehouse' },
})

/** Visits by timestamp; their days are those of Bogotá. */
const visits = DatasetDefinition.parse({
  code: 'visits',
  title: { en: 'Visits', es: 'Visitas' },
  table: { name: 'test_visits' },
  columns: [
    { name: 'at', type: 'timestamp', required: true, timeZone: 'America/Bogota' },
    ...scope,
    { name: 'minutes', type: 'integer' },
    { name: 'visitor', type: 'text' },
  ],
  loadMode: 'append',
  windowColumn: 'at',
  scope: { company: 'company', warehouse: 'warehouse' },
})

/** Every column of both datasets as a series `dataset.column`, and the rows as `dataset.rows`. */
export const PLACES = new Map<string, SeriesPlace>(
  [sales, visits].flatMap((definition) => {
    const place = (name: string, column: string | null): [string, SeriesPlace] => [
      `${definition.code}.${name}`,
      { code: `${definition.code}.${name}`, datasetId: definition.code, definition, column },
    ]
    return [place('rows', null), ...definition.columns.map(({ name }) => place(name, name))]
  }),
)

/** Returns a definition with defaults for what a test does not specify. */
export function metric(
  input: Pick<MetricDefinitionInput, 'code' | 'expression' | 'grain'>,
): MetricDefinition {
  return MetricDefinition.parse({ title: { en: input.code, es: input.code }, ...input })
}

/** Two datasets with their tables, and metrics with their runs. */
export interface SalesDatabase {
  database: TestDatabase
  insert(dataset: string, rows: readonly OracleRow[]): Promise<void>
  remove(dataset: string, ids: readonly number[]): Promise<void>
  /** Computes metrics in a transaction; returns the results by metric. */
  compute(
    definitions: readonly MetricDefinition[],
    days: readonly DayRange[],
    cells?: { companies: string[] | null; warehouses: string[] | null },
    options?: ComputeOptions,
    series?: typeof PLACES,
  ): Promise<Map<string, RunResult>>
  /** Returns all values as `metric|day|company|warehouse`. */
  values(): Promise<Map<string, bigint>>
}

/** Opens a test database with the two datasets. */
export async function openSales(): Promise<SalesDatabase> {
  const database = await createTestDatabase()
  const { pool } = database
  await pool.query(`create table test_sales (id bigint primary key, day date not null, company text not null,
      warehouse text not null, amount numeric(12, 3), units integer, shift smallint, kind text, channel text,
      paid boolean, product_id bigint, rank integer);
    create table test_visits (id bigint primary key, at timestamptz not null, company text not null,
      warehouse text not null, minutes integer, visitor text);
    insert into dim_maquina (codigo) select 'P' || n from generate_series(1, 16) n where n not between 6 and 9`)
  return {
    database,
    async insert(dataset, rows) {
      const records = rows.map(({ id, day, company, warehouse, values }) => ({
        id,
        day,
        company,
        warehouse,
        ...Object.fromEntries(
          Object.entries(values).map(([name, value]) => [name.split('.')[1] ?? name, value]),
        ),
      }))
      const table = `test_${dataset}`
      await pool.query(
        `insert into ${table} select (jsonb_populate_record(null::${table}, r${dataset === 'sales' ? " || jsonb_build_object('product_id', (select id from dim_maquina where codigo = r ->> 'product'))" : ''})).* from jsonb_array_elements($1) r`,
        [JSON.stringify(records)],
      )
    },
    async remove(dataset, ids) {
      await pool.query(`delete from test_${dataset} where id = any ($1)`, [ids])
    },
    async compute(
      definitions,
      days,
      cells = { companies: null, warehouses: null },
      options = {},
      series = PLACES,
    ) {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const runs = []
        for (const definition of definitions) {
          const runId = randomUUID()
          await client.query(
            `with m as (insert into metrics (code, current_version) values ($2, 1)
                on conflict (code) do update set updated_at = now() returning id),
              v as (insert into metric_versions (metric_id, version, definition, definition_sha256, expression_type, expression_json)
                select id, 1, '{}', repeat('0', 64), $3, '{}' from m on conflict do nothing)
            insert into metric_runs (id, metric_id, metric_version, as_of, status, cause, days, occurred_at, completed_at)
              select $1, id, 1, current_date, 'SUCCEEDED', 'recompute', '{}', now(), now() from m`,
            [runId, definition.code, definition.expression.type],
          )
          runs.push({ runId, definition, days, ...cells })
        }
        const results = await computeMetrics(client, { runs, series }, options)
        await client.query('commit')
        return new Map(runs.map((run) => [run.definition.code, results.get(run.runId) ?? missing()]))
      } catch (error) {
        await client.query('rollback')
        throw error
      } finally {
        client.release()
      }
    },
    async values() {
      const { rows } = await pool.query<{ key: string; value: string }>(
        `select concat(metric_name, '|', date, '|', coalesce(company, 'null'), '|', coalesce(warehouse, 'null')) as key, value from daily_metrics`,
      )
      return new Map(rows.map(({ key, value }) => [key, scaled(value)]))
    },
  }
}

function missing(): never {
  throw new Error('a run has no result')
}
