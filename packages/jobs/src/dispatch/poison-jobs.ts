import type { JobFailure } from '@aduana/contracts/failures'
import type { StageName } from '@aduana/contracts/stages'
import { LOCKS, takeLock } from '@aduana/db/advisory-locks'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { HEARTBEAT_TIMEOUT_SECONDS } from '../stage-attempts/stale-backends.ts'

/** A job that has lost more workers in a row than this in the same stage fails, because it probably kills them. */
export const MAX_LOST_ATTEMPTS = 4

/** A job that has lost this many workers in a row is a suspect: it, or a job that ran beside it, kills workers. */
export const SUSPECT_AFTER_LOSSES = 2

/**
 * Returns whether another suspect is being processed. Suspects are processed one at a time, so that a job that kills its
 * worker does not make other jobs fail with it. The result is valid until the transaction ends.
 */
export async function isOtherSuspectRunning(tx: Tx, jobId: string): Promise<boolean> {
  await takeLock(tx, LOCKS.suspects)
  const found = await sql`select from jobs j join stage_results s on s.job_id = j.id
    where j.status = 'PROCESSING' and j.lost_count >= ${SUSPECT_AFTER_LOSSES} and j.id <> ${jobId} and s.state = 'running'
      and s.heartbeat_at > clock_timestamp() - make_interval(secs => ${HEARTBEAT_TIMEOUT_SECONDS}) limit 1`.execute(
    tx,
  )
  return found.rows.length > 0
}

/** Returns the failure of a job that lost too many workers. */
export function workerLostFailure(stage: StageName, reason: string): JobFailure {
  return {
    code: 'worker_lost',
    detail: `The stage ${stage} was interrupted too many times: ${reason}. Nothing was loaded. The file may need more memory than a worker has; split it, or ask an administrator to give workers more memory.`,
    stage,
  }
}
