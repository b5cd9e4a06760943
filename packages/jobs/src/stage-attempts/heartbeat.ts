import type { ProgressUpdate } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'
import type { StageAttempt } from './stage-attempts.ts'
import { StoredProgress, storedProgress } from './stored-progress.ts'

/** The figures of a stage in progress that users see. */
export interface LiveProgress {
  progress: number
  message: string
  totalItems: number | null
  processedItems: number | null
  rowsPerSecond: number | null
  etaSeconds: number | null
}

/**
 * The result of a heartbeat: `go` to continue, `cancel` when a user requested it, or `overtaken` when a newer attempt has
 * replaced this one. `progress` is the stored progress of the job, ready to be published.
 */
export type Heartbeat =
  | { answer: 'go' | 'cancel'; progress: ProgressUpdate }
  | { answer: 'overtaken'; progress?: undefined }

/**
 * Records a heartbeat of a stage attempt, stores its live figures, and returns whether to continue. The progress of a job
 * never decreases, whichever attempt writes it. Each stored progress has its own number.
 */
export async function recordHeartbeat(
  db: Database,
  stageAttempt: StageAttempt,
  figures: LiveProgress,
): Promise<Heartbeat> {
  // The job is locked before its stage attempt, as in every transaction that ends the attempt or takes it over. The
  // attempt is read under the lock.
  const answer = await sql<{ cancel: boolean; progress: unknown }>`
    with locked as (
      select from jobs where id = ${stageAttempt.jobId} and attempt = ${stageAttempt.attempt} and status = 'PROCESSING' for no key update
    ), mine as (
      update stage_results set heartbeat_at = clock_timestamp()
      where job_id = ${stageAttempt.jobId} and stage = ${stageAttempt.stage} and attempt = ${stageAttempt.attempt} and try = ${stageAttempt.try}
        and state = 'running' and exists (select from locked)
      returning 1
    )
    update jobs set progress = greatest(progress, ${figures.progress}), progress_tick = progress_tick + 1,
      message = ${figures.message}, total_items = coalesce(${figures.totalItems}, total_items),
      processed_items = coalesce(${figures.processedItems}, processed_items),
      rows_per_second = ${figures.rowsPerSecond}, eta_seconds = ${figures.etaSeconds},
      updated_at = clock_timestamp()
    where id = ${stageAttempt.jobId} and exists (select from mine)
    returning cancel_requested_at is not null as cancel, ${storedProgress('jobs')} as progress
  `.execute(db)
  const row = answer.rows[0]
  if (!row) return { answer: 'overtaken' }
  return { answer: row.cancel ? 'cancel' : 'go', progress: StoredProgress.parse(row.progress) }
}
