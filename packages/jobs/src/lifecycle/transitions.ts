import { JOB_TRANSITIONS, JobStatus } from '@aduana/contracts/job-states'
import { assertTransitions } from '@aduana/contracts/transitions'
import type { Tx } from '@aduana/db/database'
import type { DB } from '@aduana/db/schema.generated'
import { sql, type UpdateObject } from 'kysely'

/** The conditions of a change of a job. If they do not hold, nothing is changed. */
export interface Guard {
  jobId: string
  /** The states from which the change is allowed. */
  from: readonly JobStatus[]
  /** The attempt that makes the change. After a newer attempt has begun, it changes nothing. */
  attempt?: number
  /** Makes no change once a cancellation has been requested. */
  unlessCancelled?: boolean
}

export type JobChange = Omit<UpdateObject<DB, 'jobs'>, 'id' | 'version' | 'updated_at' | 'status'> & {
  status?: JobStatus
}

/** Thrown when a job is not in the expected state: another process has taken it, or it has ended. */
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
 * Changes the state of a job like `changeJob`, for callers that do not roll back: when the guard does not hold, changes
 * nothing and returns undefined.
 * @throws IllegalTransitionError when the transition is not allowed, which is a programming error
 */
export async function tryChangeJob(tx: Tx, guard: Guard, change: JobChange): Promise<number | undefined> {
  if (change.status !== undefined) assertTransitions(JOB_TRANSITIONS, 'a job', guard.from, change.status)
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

/** An open job whose row is locked: it does not change until the locking transaction ends. */
export interface OpenJob {
  readonly id: string
  readonly status: JobStatus
  readonly attempt: number
  readonly waitingFor: string | null
  readonly [locked]: true
}

/**
 * Locks the row of a job and returns the job, or undefined when it is final or does not exist. Windows can only be
 * claimed and waited for with the result. With `skipLocked`, a job whose row another transaction has locked counts as missing.
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

/** Channel that notifies dispatchers when there may be jobs to admit. */
export const DISPATCH_CHANNEL = 'aduana_dispatch'

/** Notifies the dispatchers when the transaction commits. */
export async function wakeDispatchers(tx: Tx): Promise<void> {
  await sql`select pg_notify(${DISPATCH_CHANNEL}, '')`.execute(tx)
}
