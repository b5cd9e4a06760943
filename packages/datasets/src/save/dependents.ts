import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Tx } from '@aduana/db/database'
import type { RegisteredDataset } from '../registry.ts'

/** A change of a dataset that is about to be written. */
export interface DatasetChange {
  before: RegisteredDataset
  definition: DatasetDefinition
  /** Whether its rows get other days or scopes. */
  moves: boolean
}

/** Adapts what depends on a dataset, after its new version is written and in the same transaction. */
export type FollowChange = (saved: RegisteredDataset) => Promise<void>

/** What depends on datasets. The packages that import this one fill it, and the API passes it in. */
export interface DatasetDependents {
  /** Takes the locks that precede those of a dataset. Called first. See docs/guides/locks.md. */
  lock(tx: Tx): Promise<void>
  /**
   * Checks a change before it is written, and returns what follows from it.
   * @throws ProblemError if the change is not possible: `dataset_in_use` with its `problems`, `dataset_busy` with `jobs`
   */
  check(tx: Tx, change: DatasetChange): Promise<FollowChange>
}
