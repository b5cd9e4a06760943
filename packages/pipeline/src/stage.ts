import type { JobFailure } from '@aduana/contracts/failures'
import type { StageName } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'
import type { StageProgress } from '@aduana/jobs/stage-attempts/progress'
import type { StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import type pg from 'pg'
import type { PipelineContext } from './context.ts'
import type { ImportFacts } from './import-facts.ts'

/** One attempt at a stage, as its work sees it. */
export interface StageJob {
  context: PipelineContext
  stageAttempt: StageAttempt
  facts: ImportFacts
  /** A folder for this stage attempt only. It is removed afterwards. */
  folder: string
  /** Aborted when the stage attempt must stop: it was cancelled or overtaken, or the process ends. */
  signal: AbortSignal
  report: (progress: StageProgress) => void
}

/**
 * The result of a stage's work. Its effects on the database happen in `commit`, in the transaction that marks the stage
 * as done. Before that, nothing visible to others has changed.
 */
export type StageResult =
  /** The stage is done. `commit` returns the output that later stages read. */
  | { kind: 'done'; commit: (tx: Tx, client: pg.PoolClient) => Promise<Record<string, unknown>> }
  /** The stage has already committed. */
  | { kind: 'committed' }
  /** The import fails for good. `keep` stores what users can inspect. */
  | { kind: 'fail'; failure: JobFailure; keep?: (tx: Tx, client: pg.PoolClient) => Promise<void> }
  /** Try again later: another process holds what this one needs. */
  | { kind: 'snooze'; milliseconds: number; reason: string }
  /** The job waits in PostgreSQL until the dispatcher admits it again. */
  | { kind: 'park'; reason: string }

/** A stage: its name and its work. */
export interface Stage {
  name: StageName
  work: (job: StageJob) => Promise<StageResult>
}
