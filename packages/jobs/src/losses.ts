import type { JobFailure } from '@aduana/contracts/failures'
import type { StageName } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { HEARTBEAT_SECONDS } from './evict.ts'

/** A job whose workers died more often than this in the same stage, in a row, is given up: it probably kills them. */
export const LOSSES_ALLOWED = 4

/** After this many deaths in a row a job is a suspect: it, or one that was at work beside it, kills workers. */
export const SUSPECT_FROM = 2

/**
 * Whether another suspect is at work. Suspects work one at a time: so the one that kills its worker takes none of the
 * others with it often enough to have them given up. The answer holds until the transaction ends.
 */
export async function suspectAtWork(tx: Tx, jobId: string): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtextextended('suspects', 0))`.execute(tx)
  const found = await sql`select from jobs j join stage_results s on s.job_id = j.id
    where j.status = 'PROCESSING' and j.lost_count >= ${SUSPECT_FROM} and j.id <> ${jobId} and s.state = 'running'
      and s.heartbeat_at > clock_timestamp() - make_interval(secs => ${HEARTBEAT_SECONDS}) limit 1`.execute(
    tx,
  )
  return found.rows.length > 0
}

/** Why a job is given up whose workers die. */
export function workerLost(stage: StageName, reason: string): JobFailure {
  return {
    code: 'worker_lost',
    detail: `The work on the stage ${stage} was lost too often: ${reason}. Nothing was loaded. The file may need more memory than a worker has.`,
    stage,
  }
}
