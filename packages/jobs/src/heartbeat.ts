import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'
import type { StageRun } from './stage-log.ts'

/** What moves while a stage works, as users see it. */
export interface LiveFigures {
  progress: number
  message: string
  totalItems: number | null
  processedItems: number | null
  rowsPerSecond: number | null
  etaSeconds: number | null
}

/** `go` on; `cancel`: somebody asked to; `overtaken`: another run or attempt has taken the place of this one. */
export type HeartbeatAnswer = 'go' | 'cancel' | 'overtaken'

/**
 * Say that a run is alive, store its live figures for those who poll, and hear whether to go on. The progress of a job
 * never goes backwards, whoever writes it. The row of the job is locked before that of the run, as by every other writer.
 */
export async function beat(db: Database, run: StageRun, figures: LiveFigures): Promise<HeartbeatAnswer> {
  const answer = await sql<{ alive: boolean; cancel: boolean }>`
    with job as materialized (
      select from jobs where id = ${run.jobId} for no key update
    ), mine as (
      update stage_results set heartbeat_at = clock_timestamp()
      where job_id = ${run.jobId} and stage = ${run.stage} and attempt = ${run.attempt} and try = ${run.try}
        and state = 'running' and exists (select from job)
      returning 1
    ), live as (
      update jobs set progress = greatest(progress, ${figures.progress}), message = ${figures.message},
        total_items = coalesce(${figures.totalItems}, total_items),
        processed_items = coalesce(${figures.processedItems}, processed_items),
        rows_per_second = ${figures.rowsPerSecond}, eta_seconds = ${figures.etaSeconds},
        updated_at = clock_timestamp()
      where id = ${run.jobId} and attempt = ${run.attempt} and status = 'PROCESSING' and exists (select from mine)
      returning cancel_requested_at
    )
    select exists (select from live) as alive, exists (select from live where cancel_requested_at is not null) as cancel
  `.execute(db)
  const row = answer.rows[0]
  if (!row?.alive) return 'overtaken'
  return row.cancel ? 'cancel' : 'go'
}
