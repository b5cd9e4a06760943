import type { Lease } from '@aduana/jobs/leases'
import type { Window } from '@aduana/jobs/windows'
import type { ValidateOutput } from '../stage-outputs.ts'
import type { RowSource } from './row-files.ts'

/** What is published, and under which lease. */
export interface Publishing {
  lease: Lease
  windows: readonly Window[]
  source: RowSource
  validated: ValidateOutput
}
