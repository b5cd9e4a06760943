import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Database, Tx } from '@aduana/db/database'
import type { SeriesPlace, SeriesPlaces } from '../series-place.ts'

/** Where every series is, by its code. */
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
  const definitions = new Map(datasets.map((row) => [row.id, DatasetDefinition.parse(row.definition)]))
  const places = new Map<string, SeriesPlace>()
  for (const row of series) {
    const definition = definitions.get(row.dataset_id)
    if (definition)
      places.set(row.code, { code: row.code, datasetId: row.dataset_id, definition, column: row.column_name })
  }
  return places
}
