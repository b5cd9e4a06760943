import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { targetColumns } from '@aduana/datasets/target'
import type { Database, Tx } from '@aduana/db/database'
import type { SeriesPlace, SeriesPlaces } from '@aduana/metric-compute/series-place'
import { sql } from 'kysely'

/** Reads where every series is stored, by its code. */
export async function readSeriesPlaces(db: Database | Tx): Promise<SeriesPlaces> {
  const [series, datasets] = await Promise.all([
    db
      .selectFrom('dataset_series')
      .innerJoin('series', 'series.id', 'dataset_series.series_id')
      .select(['series.code', 'dataset_series.dataset_id', 'dataset_series.column_name'])
      .execute(),
    db
      .selectFrom('datasets')
      .innerJoin('dataset_versions', (join) =>
        join
          .onRef('dataset_versions.dataset_id', '=', 'datasets.id')
          .onRef('dataset_versions.version', '=', 'datasets.current_version'),
      )
      .select(['datasets.id', 'dataset_versions.definition'])
      .execute(),
  ])
  const filled = await filledColumns(db)
  const definitions = new Map(
    datasets.map((row) => [row.id, asStored(DatasetDefinition.parse(row.definition), filled)]),
  )
  const places = new Map<string, SeriesPlace>()
  for (const row of series) {
    const definition = definitions.get(row.dataset_id)
    if (definition)
      places.set(row.code, { code: row.code, datasetId: row.dataset_id, definition, column: row.column_name })
  }
  return places
}

/** Returns the NOT NULL columns of dataset tables, as `schema.table.column`. */
async function filledColumns(db: Database | Tx): Promise<ReadonlySet<string>> {
  const rows = await sql<{ column: string }>`
    select n.nspname || '.' || c.relname || '.' || a.attname as column
    from datasets d join dataset_versions v on v.dataset_id = d.id and v.version = d.current_version
      join pg_namespace n on n.nspname = v.definition -> 'table' ->> 'schema'
      join pg_class c on c.relnamespace = n.oid and c.relname = v.definition -> 'table' ->> 'name'
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and a.attnotnull`.execute(db)
  return new Set(rows.rows.map(({ column }) => column))
}

/**
 * Returns a definition whose columns are required only where the table enforces it. Existing rows may be of an
 * earlier version that did not require a column.
 */
function asStored(definition: DatasetDefinition, filled: ReadonlySet<string>): DatasetDefinition {
  const { schema, name } = definition.table
  const stored = new Map(targetColumns(definition).map((column) => [column.source?.name, column.name]))
  return {
    ...definition,
    columns: definition.columns.map((column) => ({
      ...column,
      required: column.required && filled.has(`${schema}.${name}.${stored.get(column.name)}`),
    })),
  }
}
