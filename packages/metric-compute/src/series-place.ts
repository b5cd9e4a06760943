import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/** Where a series is stored: its dataset and its column there. A null column means the row itself. */
export interface SeriesPlace {
  code: string
  datasetId: string
  definition: DatasetDefinition
  column: string | null
}

/** The series that an expression may use, by code. */
export type SeriesPlaces = ReadonlyMap<string, SeriesPlace>
