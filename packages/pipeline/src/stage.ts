import type { JobFailure } from '@aduana/contracts/failures'
import type { StageName } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'
import type { StageProgress } from '@aduana/jobs/progress'
import type { StageRun } from '@aduana/jobs/stage-log'
import type pg from 'pg'
import type { PipelineContext } from './context.ts'
import type { ImportFacts } from './import-facts.ts'

/** One run of a stage, as its work sees it. */
export interface StageJob {
  context: PipelineContext
  run: StageRun
  facts: ImportFacts
  /** A folder for this run alone; it is removed afterwards. */
  folder: string
  /** Aborted when the run must stop: cancelled, overtaken, or the process ends. */
  signal: AbortSignal
  report: (progress: StageProgress) => void
}

/**
 * What the work of a stage comes to. Its effects on the database happen in `commit`, in the same transaction that
 * marks the stage as done; before that nothing that others can see has changed.
 */
export type StageResult =
  /** The stage is done; `commit` answers the output that later stages read. */
  | { kind: 'done'; commit: (tx: Tx, client: pg.PoolClient) => Promise<Record<string, unknown>> }
  /** The stage has committed by itself. */
  | { kind: 'committed' }
  /** The import fails for good; `keep` stores what is to be seen of it. */
  | { kind: 'fail'; failure: JobFailure; keep?: (tx: Tx, client: pg.PoolClient) => Promise<void> }
  /** Not now: another process holds what this one needs. */
  | { kind: 'snooze'; milliseconds: number; reason: string }
  /** The job waits in PostgreSQL; the dispatcher brings it back. */
  | { kind: 'park'; reason: string }

/** A stage: its name and its work. */
export interface Stage {
  name: StageName
  work: (job: StageJob) => Promise<StageResult>
}
