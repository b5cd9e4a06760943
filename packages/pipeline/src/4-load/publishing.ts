import type { Lease } from '@aduana/jobs/leases'
import type { Window } from '@aduana/jobs/windows'
import type { ValidateOutput } from '../stage-outputs.ts'
import type { RowMeter } from './copy-rows.ts'
import type { FreshPartition } from './fresh-partitions.ts'
import type { ScopeDays } from './replaced-days.ts'
import type { RowSource } from './row-files.ts'

/** What is published, and under which lease. */
export interface Publishing {
  lease: Lease
  windows: readonly Window[]
  source: RowSource
  /** The days of each scope whose old rows go. */
  replaced: readonly ScopeDays[]
  /** Months whose rows are in tables of their own already. */
  fresh: readonly FreshPartition[]
  meter: RowMeter
  validated: ValidateOutput
}
