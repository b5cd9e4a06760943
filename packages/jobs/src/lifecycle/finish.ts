import type { Counts } from '@aduana/contracts/counts'
import type { JobFailure } from '@aduana/contracts/failures'
import { OPEN_JOBS } from '@aduana/contracts/job-states'
import type { Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb, replaceUnstorable } from '@aduana/db/jsonb'
import { sql } from 'kysely'
import { HEARTBEAT_TIMEOUT_SECONDS } from '../stage-attempts/stale-backends.ts'
import { releaseWindows } from '../windows/windows.ts'
import { changeJob, tryChangeJob, wakeDispatchers } from './transitions.ts'

const NOW = sql<Date>`clock_timestamp()`

export interface Ending {
  jobId: string
  /** The attempt that ends the job; undefined when any process may end it. */
  attempt?: number
}

/**
 * Completes a job all of whose stages are done: releases its windows and writes the event.
 * @throws OvertakenError so that the transaction rolls back
 */
export async function completeJob(tx: Tx, ending: Ending, counts: Counts, message: string): Promise<void> {
  await changeJob(
    tx,
    { ...ending, from: ['PROCESSING'] },
    { status: 'COMPLETED', progress: 100, message, eta_seconds: 0, completed_at: NOW, waiting_for: null },
  )
  await appendEvent(tx, {
    key: `${ending.jobId}:completed`,
    jobId: ending.jobId,
    event: { type: 'job.completed', counts },
  })
  await close(tx, ending.jobId)
}

/**
 * Fails a job with the given failure. Returns false, and changes nothing, when the job was overtaken, is final, or has
 * loaded its rows. After that point an import no longer fails: its remaining stages are retried until they succeed.
 */
export async function tryFailJob(tx: Tx, ending: Ending, failure: JobFailure): Promise<boolean> {
  if (await hasLoaded(tx, ending.jobId)) return false
  const version = await tryChangeJob(
    tx,
    { ...ending, from: OPEN_JOBS },
    {
      status: 'FAILED',
      error: jsonb(failure),
      message: replaceUnstorable(failure.detail),
      eta_seconds: null,
      completed_at: NOW,
      waiting_for: null,
    },
  )
  if (version === undefined) return false
  await appendEvent(tx, {
    key: `${ending.jobId}:failed:${version}`,
    jobId: ending.jobId,
    event: { type: 'job.failed', code: failure.code, detail: failure.detail },
  })
  await closeAttempts(tx, ending.jobId)
  await close(tx, ending.jobId)
  return true
}

/** Cancels a job. Returns false, and changes nothing, when the job was overtaken, has loaded its rows, or is final. */
export async function tryCancelJob(tx: Tx, ending: Ending): Promise<boolean> {
  if (await hasLoaded(tx, ending.jobId)) return false
  const version = await tryChangeJob(
    tx,
    { ...ending, from: OPEN_JOBS },
    { status: 'CANCELLED', message: 'Cancelled', eta_seconds: null, completed_at: NOW, waiting_for: null },
  )
  if (version === undefined) return false
  await appendEvent(tx, {
    key: `${ending.jobId}:cancelled`,
    jobId: ending.jobId,
    event: { type: 'job.cancelled' },
  })
  await closeAttempts(tx, ending.jobId)
  await close(tx, ending.jobId)
  return true
}

/** Returns whether a job has loaded its rows. Locks the job's row, so that the result remains valid. */
async function hasLoaded(tx: Tx, jobId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('jobs')
    .select('loaded_at')
    .where('id', '=', jobId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row !== undefined && row.loaded_at !== null
}

/** Closes the open stage attempts of a job that ends: as lost if the heartbeat timed out, else as released. */
async function closeAttempts(tx: Tx, jobId: string): Promise<void> {
  const timedOut = sql`heartbeat_at <= clock_timestamp() - make_interval(secs => ${HEARTBEAT_TIMEOUT_SECONDS})`
  await sql`update stage_results set finished_at = clock_timestamp(),
      state = case when ${timedOut} then 'lost' else 'released' end,
      lost_because = case when ${timedOut} then 'heartbeat timed out' end
    where job_id = ${jobId} and state = 'running'`.execute(tx)
}

async function close(tx: Tx, jobId: string): Promise<void> {
  await releaseWindows(tx, jobId)
  await wakeDispatchers(tx)
}
