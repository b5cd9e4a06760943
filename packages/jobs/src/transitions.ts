import { canTransition, JobStatus } from '@aduana/contracts/job-states'
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

/** The job is not in the expected state: another process has it, or it has ended. The transaction rolls back. */
export class OvertakenError extends Error {
  override readonly name = 'OvertakenError'
}

/**
 * Changes the state of a job and returns its new version. Every write of a job's state goes through this function or
 * `tryChangeJob`: guarded by the expected state and attempt, raising the version.
 * @throws OvertakenError when the guard does not hold, so that the transaction rolls back
 */
export async function changeJob(tx: Tx, guard: Guard, change: JobChange): Promise<number> {
  const version = await tryChangeJob(tx, guard, change)
  if (version === undefined)
    throw new OvertakenError(`job ${guard.jobId} is no longer ${guard.from.join(' or ')}`)
  return version
}

/**
 * Like `changeJob`, for callers that do not roll back: returns undefined when the guard does not hold, and changes nothing
 * then.
 * @throws Error when the transition is not one of the allowed ones; that is a mistake of the program
 */
export async function tryChangeJob(tx: Tx, guard: Guard, change: JobChange): Promise<number | undefined> {
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

declare const locked: unique symbol

/** A job that is not final and stays as it is until the transaction that locked its row ends. */
export interface OpenJob {
  readonly id: string
  readonly status: JobStatus
  readonly attempt: number
  readonly waitingFor: string | null
  readonly [locked]: true
}

/**
 * Locks the row of a job and returns the job, or undefined when it is final or does not exist. Windows can only be
 * claimed and waited for with the result. With `skipLocked` a job whose row another transaction holds counts as not there.
 */
export async function lockOpenJob(
  tx: Tx,
  jobId: string,
  { skipLocked = false }: { skipLocked?: boolean } = {},
): Promise<OpenJob | undefined> {
  const row = await tx
    .selectFrom('jobs')
    .select(['id', 'status', 'attempt', 'waiting_for as waitingFor'])
    .where('id', '=', jobId)
    .where('completed_at', 'is', null)
    .forNoKeyUpdate()
    .$if(skipLocked, (query) => query.skipLocked())
    .executeTakeFirst()
  return row === undefined ? undefined : ({ ...row, status: JobStatus.parse(row.status) } as OpenJob)
}

/** Channel on which dispatchers hear that there may be something to admit. */
export const DISPATCH_CHANNEL = 'aduana_dispatch'

/** Wake the dispatchers when the transaction commits. */
export async function wakeDispatchers(tx: Tx): Promise<void> {
  await sql`select pg_notify(${DISPATCH_CHANNEL}, '')`.execute(tx)
}
