import type { Tx } from '@aduana/db/database'
import type { Lease } from '@aduana/jobs/leases'
import type { BeforeImage } from './before-image.ts'
import type { RowMeter } from './copy-rows.ts'
import type { FreshPartition } from './fresh-partitions.ts'
import type { LoadPlan } from './preview/basis.ts'
import type { RowSource } from './row-files.ts'

/** What is published, and under which lease. */
export interface Publishing {
  lease: Lease
  plan: LoadPlan
  source: RowSource
  /** Months whose rows are in tables of their own already. */
  fresh: readonly FreshPartition[]
  /** The rows that a replacing load is about to delete. */
  image: BeforeImage
  meter: RowMeter
  /** Throws when what was approved is no longer what has been written. */
  confirm?: (tx: Tx) => Promise<void>
}
