import type { Tx } from '@aduana/db/database'
import type { Lease } from '@aduana/jobs/windows/leases'
import type { BeforeImage } from './before-image.ts'
import type { RowMeter } from './copy-rows.ts'
import type { FreshPartition } from './fresh-partitions.ts'
import type { LoadPlan } from './plan.ts'
import type { RowSource } from './row-files.ts'

/** What is published, and under which lease. */
export interface Publishing {
  lease: Lease
  plan: LoadPlan
  source: RowSource
  /** Months whose rows are already in separate tables. */
  fresh: readonly FreshPartition[]
  /** The before-image of the rows that a replacing load is about to delete. */
  image: BeforeImage
  meter: RowMeter
  /** Throws if what was approved differs from what was written. */
  confirm?: (tx: Tx) => Promise<void>
}
