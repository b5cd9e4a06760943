import { canTransition, type JobStatus } from '@aduana/contracts/job-states'
import type { Tx } from '@aduana/db/database'
import type { DB } from '@aduana/db/schema.generated'
import { sql, type UpdateObject } from 'kysely'

/** What a change of a job expects to find; it does nothing when it finds anything else. */
export interface Guard {
  jobId: string
  /** The states from which the change is allowed. */
  from: readonly JobStatus[]
  /** The attempt on whose behalf the change is made: a worker that has been overtaken changes nothing. */
  attempt?: number
  /** The change is not made once somebody has asked to cancel. */
  unlessCancelled?: boolean
}

export type JobChange = Omit<UpdateObject<DB, 'jobs'>, 'id' | 'version' | 'updated_at' | 'status'> & {
  status?: JobStatus
}

/**
 * The one way in which the state of a job is written: guarded by the expected state and attempt, raising the version.
 * Answers the new version, or undefined when the guard did not hold (the caller must then stop or roll back).
 * @throws Error when the transition is not one of the allowed ones; that is a mistake of the program
 */
export async function changeJob(tx: Tx, guard: Guard, change: JobChange): Promise<number | undefined> {
  const to = change.status
  if (to !== undefined)
    for (const from of guard.from)
      if (from !== to && !canTransition(from, to)) throw new Error(`a job never goes from ${from} to ${to}`)
  const row = await tx
    .updateTable('jobs')
    .set({ ...change, version: sql<string>`version + 1`, updated_at: sql<Date>`clock_timestamp()` })
    .where('id', '=', guard.jobId)
    .where('status', 'in', [...guard.from])
    .$if(guard.attempt !== undefined, (query) => query.where('attempt', '=', guard.attempt ?? 0))
    .$if(guard.unlessCancelled === true, (query) => query.where('cancel_requested_at', 'is', null))
    .returning('version')
    .executeTakeFirst()
  return row === undefined ? undefined : Number(row.version)
}

/** Channel on which dispatchers hear that there may be something to admit. */
export const DISPATCH_CHANNEL = 'aduana_dispatch'

/** Wake the dispatchers when the transaction commits. */
export async function wakeDispatchers(tx: Tx): Promise<void> {
  await sql`select pg_notify(${DISPATCH_CHANNEL}, '')`.execute(tx)
}
