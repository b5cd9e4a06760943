import type { Counts } from '@aduana/contracts/counts'
import type { JobFailure } from '@aduana/contracts/failures'
import type { JobStatus } from '@aduana/contracts/job-states'
import type { Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb, replaceUnstorable } from '@aduana/db/jsonb'
import { sql } from 'kysely'
import { HEARTBEAT_SECONDS } from './evict.ts'
import { changeJob, tryChangeJob, wakeDispatchers } from './transitions.ts'
import { releaseWindows } from './windows.ts'

const ACTIVE: readonly JobStatus[] = ['QUEUED', 'PROCESSING']
const NOW = sql<Date>`clock_timestamp()`

export interface Ending {
  jobId: string
  /** Undefined when the ending does not depend on who is at work. */
  attempt?: number
}

/**
 * Completes a job whose work is all done: releases its windows, writes the event.
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
 * Fails a job for good, with what went wrong: nothing more is done for it. False when it was overtaken, is final, or has
 * loaded its rows: after that point an import no longer fails, what is left is done again until it succeeds.
 */
export async function tryFailJob(tx: Tx, ending: Ending, failure: JobFailure): Promise<boolean> {
  if (await hasLoaded(tx, ending.jobId)) return false
  const version = await tryChangeJob(
    tx,
    { ...ending, from: ACTIVE },
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

/** Cancels a job that has not loaded yet. False when it was overtaken, has loaded, or is final. */
export async function tryCancelJob(tx: Tx, ending: Ending): Promise<boolean> {
  if (await hasLoaded(tx, ending.jobId)) return false
  const version = await tryChangeJob(
    tx,
    { ...ending, from: ACTIVE },
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

/** True when the rows of a job are in the table. Locks the job's row, so that it stays true or false. */
async function hasLoaded(tx: Tx, jobId: string): Promise<boolean> {
  const row = await tx
    .selectFrom('jobs')
    .select('loaded_at')
    .where('id', '=', jobId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row !== undefined && row.loaded_at !== null
}

/** Closes the attempts at stages that are open when their job ends: lost if their worker is dead, else released. */
async function closeAttempts(tx: Tx, jobId: string): Promise<void> {
  const timedOut = sql`heartbeat_at <= clock_timestamp() - make_interval(secs => ${HEARTBEAT_SECONDS})`
  await sql`update stage_results set finished_at = clock_timestamp(),
      state = case when ${timedOut} then 'lost' else 'released' end,
      lost_because = case when ${timedOut} then 'heartbeat timed out' end
    where job_id = ${jobId} and state = 'running'`.execute(tx)
}

async function close(tx: Tx, jobId: string): Promise<void> {
  await releaseWindows(tx, jobId)
  await wakeDispatchers(tx)
}
