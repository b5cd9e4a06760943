import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'

/** Where a series is: in which dataset, and in which column of it; null is the row itself. */
export interface SeriesPlace {
  code: string
  datasetId: string
  definition: DatasetDefinition
  column: string | null
}

/** The series that an expression may name, by code. */
export type SeriesPlaces = ReadonlyMap<string, SeriesPlace>
