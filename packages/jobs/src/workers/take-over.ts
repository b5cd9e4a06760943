import type { StagePayload } from '@aduana/contracts/stages'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import type { Flows } from '@aduana/queue/flow'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { SUSPECT_AFTER_LOSSES } from '../dispatch/poison-jobs.ts'
import { tryChangeJob, wakeDispatchers } from '../lifecycle/transitions.ts'
import { terminateStaleBackends } from '../stage-attempts/stale-backends.ts'

/**
 * Has the jobs of an ended worker admitted again: those of its open stage attempts, and those that it had taken from BullMQ
 * without an open attempt (not begun yet, or committed and not acknowledged). The former attempts are overtaken, as after a
 * lost lock. A job that is suspected of killing its workers is left to the timeouts, so that it does not kill one worker
 * after the other within seconds.
 */
export async function takeOverWork(
  { db, flows, logger }: { db: Database; flows: Pick<Flows, 'heldBy'>; logger: Logger },
  worker: string,
): Promise<void> {
  for (const jobId of await jobsOfOpenAttempts(db, worker)) {
    // PostgreSQL notices a dead client only between two statements. Until then its transaction would keep its locks.
    await terminateStaleBackends(db, jobId, worker)
    await takeOver(jobId)
  }
  for (const delivery of await deliveriesOf(worker)) await takeOver(delivery.jobId, delivery)

  async function takeOver(jobId: string, delivery?: StagePayload): Promise<void> {
    const taken = await inTransaction(db, (tx) => readmit(tx, worker, jobId, delivery))
    if (taken)
      logger.warn({
        event: 'dispatch.work_lost',
        jobId,
        ...taken,
        endedWorker: worker,
        found: 'session ended',
      })
  }

  async function deliveriesOf(name: string): Promise<StagePayload[]> {
    try {
      return await flows.heldBy(name)
    } catch (error) {
      // Without Redis nothing can be delivered again. The reconciler finds lost jobs later.
      logger.warn({ event: 'worker.deliveries_not_read', endedWorker: name, err: error })
      return []
    }
  }
}

async function jobsOfOpenAttempts(db: Database, worker: string): Promise<string[]> {
  const rows = await sql<{
    id: string
  }>`select distinct j.id from jobs j join stage_results s on s.job_id = j.id
    where j.status = 'PROCESSING' and s.state = 'running' and s.worker = ${worker}`.execute(db)
  return rows.rows.map(({ id }) => id)
}

interface Holding {
  attempt: number
  lost_count: number
  stage: string | null
  stageAttempts: { worker: string; attempt: number; stage: string }[]
}

/** Returns the lost attempt, or undefined when the worker does not hold the job (any more) or the job is a suspect. */
async function readmit(
  tx: Tx,
  worker: string,
  jobId: string,
  delivery: StagePayload | undefined,
): Promise<{ attempt: number; stage: string | null } | undefined> {
  const job = await holdingOf(tx, jobId)
  if (!job || job.lost_count >= SUSPECT_AFTER_LOSSES) return undefined
  const [open] = job.stageAttempts
  if (open ? open.worker !== worker || open.attempt !== job.attempt : delivery?.attempt !== job.attempt)
    return undefined
  if (open) await closeAttemptsOf(tx, worker, jobId)
  const version = await tryChangeJob(
    tx,
    { jobId, attempt: job.attempt, from: ['PROCESSING'] },
    {
      admitted_at: null,
      lost_count: job.lost_count + 1,
      message: 'The job was interrupted and is being restarted',
    },
  )
  if (version === undefined) return undefined
  await wakeDispatchers(tx)
  return { attempt: job.attempt, stage: open?.stage ?? job.stage }
}

/** Locks an admitted job, and returns it with its open stage attempts. */
async function holdingOf(tx: Tx, jobId: string): Promise<Holding | undefined> {
  const jobs = await sql<Omit<Holding, 'stageAttempts'>>`select attempt, lost_count, stage from jobs
    where id = ${jobId} and status = 'PROCESSING' and waiting_for is null and admitted_at is not null
    for no key update`.execute(tx)
  const [job] = jobs.rows
  if (!job) return undefined
  const open = await sql<Holding['stageAttempts'][number]>`select worker, attempt, stage from stage_results
    where job_id = ${jobId} and state = 'running'`.execute(tx)
  return { ...job, stageAttempts: open.rows }
}

/** Closes the open stage attempts of a worker as lost, and expires its lease of the windows. */
async function closeAttemptsOf(tx: Tx, worker: string, jobId: string): Promise<void> {
  await sql`update stage_results set state = 'lost', lost_because = 'session ended', finished_at = clock_timestamp()
    where job_id = ${jobId} and state = 'running' and worker = ${worker}`.execute(tx)
  await sql`update window_leases set expires_at = least(expires_at, clock_timestamp())
    where job_id = ${jobId} and starts_with(holder, ${`${worker}/`})`.execute(tx)
}
