import type { SeriesPlaces } from '../series-place.ts'
import type { Members } from './conditions.ts'
import type { LeafTable, Leaves } from './leaf.ts'
import type { Rows } from './rows.ts'
import type { Session } from './session.ts'

/** What the gatherings of one group of aggregates have in common. */
export interface ScanContext {
  session: Session
  rows: Rows
  places: SeriesPlaces
  members: Members
  leaves: Leaves
  grains: ReadonlySet<string>
  /** For each grain the table that tells on which days and cells there are rows. */
  presence: Map<string, LeafTable>
}
