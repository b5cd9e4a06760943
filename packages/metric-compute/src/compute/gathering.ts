import type { SeriesPlaces } from '../series-place.ts'
import type { Members } from './conditions.ts'
import type { LeafTable, Leaves } from './leaf.ts'
import type { Rows } from './rows.ts'
import type { Session } from './session.ts'

/** What the queries for one group of aggregates share. */
export interface ScanContext {
  session: Session
  rows: Rows
  places: SeriesPlaces
  members: Members
  leaves: Leaves
  grains: ReadonlySet<string>
  /** The table of days and cells with rows, by grain. */
  presence: Map<string, LeafTable>
}
