import { JobType, OPEN_JOBS } from '@aduana/contracts/job-states'
import { type StageName, stagesOf } from '@aduana/contracts/stages'
import { LOCKS, tryLock } from '@aduana/db/advisory-locks'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import type { FlowRequest } from '@aduana/queue/flow'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { changeJob, lockOpenJob } from '../lifecycle/transitions.ts'
import { claimWindows, unblockedWaiters, waitForWindows, waitingClaim } from '../windows/windows.ts'

/** The message of a job that gets its windows. The job may still have to wait for its start time. */
const WINDOW_IS_FREE = sql<string>`case when status = 'QUEUED' and start_at > clock_timestamp()
  then 'The window is free. Scheduled to start at ' || to_char(start_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
  else 'The window is free' end`

export interface DispatchLimits {
  /** Maximum number of jobs that all workers together process at once. */
  maxActive: number
  /** Maximum number of jobs of one tenant that are processed at once. */
  maxActivePerTenant: number
}

/**
 * Gives free windows to the jobs that wait for them, in the order in which they were accepted. A job that gets its
 * windows is ready to be admitted (again). Only jobs whose obstacle is gone are examined, so the cost of a round does not
 * depend on how many wait.
 */
export async function wakeWaiters(db: Database): Promise<void> {
  for (const jobId of await unblockedWaiters(db))
    if (await inTransaction(db, (tx) => wake(tx, jobId))) await failPoint('dispatch.after-wake')
}

/**
 * Gives a waiting job its windows. All state is read after its row has been locked: another dispatcher may just have woken
 * the job, or it may have been cancelled. Returns false when it must keep waiting, or when its row is locked.
 */
async function wake(tx: Tx, jobId: string): Promise<boolean> {
  const job = await lockOpenJob(tx, jobId, { skipLocked: true })
  if (job?.waitingFor !== 'window') return false
  const claim = await waitingClaim(tx, job)
  if (!claim) return false
  const result = await claimWindows(tx, claim)
  if (result.kind === 'taken') {
    await waitForWindows(tx, claim, result)
    return false
  }
  await changeJob(
    tx,
    { jobId, from: [job.status], attempt: job.attempt },
    { waiting_for: null, admitted_at: null, message: WINDOW_IS_FREE },
  )
  return true
}

/**
 * Admits as many jobs as the limits allow: by priority, then by the number of active jobs of their tenant, fewest first,
 * then by arrival. Jobs whose work was lost and jobs that got their window are admitted again in the same way. Returns the
 * flows to enqueue. If enqueuing them fails, the reconciler finds that they are missing.
 */
export function admit(db: Database, limits: DispatchLimits): Promise<FlowRequest[]> {
  return inTransaction(db, async (tx) => {
    if (!(await tryLock(tx, LOCKS.dispatch))) return []
    const chosen = await choose(tx, limits)
    const flows: FlowRequest[] = []
    for (const job of chosen) flows.push(await admitOne(tx, job))
    if (flows.length > 0) await failPoint('dispatch.before-commit')
    return flows
  })
}

interface Candidate {
  id: string
  type: string
  attempt: number
  title: string
}

async function choose(tx: Tx, limits: DispatchLimits): Promise<Candidate[]> {
  const rows = await sql<Candidate>`
    with active as (
      select tenant, count(*) as running from jobs
      where status = 'PROCESSING' and waiting_for is null and admitted_at is not null
      group by tenant
    ), ready as (
      select j.id, j.attempt, j.priority, j.created_at, j.status,
        coalesce(a.running, 0) + row_number() over (
          partition by j.tenant order by (j.status = 'PROCESSING') desc, j.priority desc, j.created_at, j.id) as turn
      from jobs j left join active a on a.tenant = j.tenant
      where j.waiting_for is null and j.admitted_at is null
        and (j.status = 'PROCESSING' or (j.status = 'QUEUED' and (j.start_at is null or j.start_at <= now())))
    )
    select r.id, j.type, r.attempt, case j.type when 'undo' then 'undo ' else '' end || coalesce(d.code, j.type) || coalesce(' #' || i.import_no, '') as title
    from ready r join jobs j on j.id = r.id
      left join imports i on i.job_id = case j.type when 'undo' then j.parent_id else r.id end left join datasets d on d.id = j.dataset_id
    where r.turn <= ${limits.maxActivePerTenant}
    order by (r.status = 'PROCESSING') desc, r.priority desc, r.turn, r.created_at, r.id
    limit greatest(0, ${limits.maxActive} - (select coalesce(sum(running), 0) from active))::int
    for no key update of j skip locked`.execute(tx)
  return rows.rows
}

async function admitOne(tx: Tx, job: Candidate): Promise<FlowRequest> {
  const attempt = job.attempt + 1
  await changeJob(
    tx,
    { jobId: job.id, from: OPEN_JOBS, attempt: job.attempt },
    {
      status: 'PROCESSING',
      attempt,
      admitted_at: sql<Date>`clock_timestamp()`,
      started_at: sql<Date>`coalesce(started_at, clock_timestamp())`,
    },
  )
  await appendEvent(tx, {
    key: `${job.id}:admitted:${attempt}`,
    jobId: job.id,
    event: { type: 'job.admitted', attempt },
  })
  return { jobId: job.id, attempt, title: job.title, stages: await openStages(tx, job) }
}

/** Returns the stages of a job that are not done yet, in order. */
export async function openStages(db: Database | Tx, job: { id: string; type: string }): Promise<StageName[]> {
  const done = await db
    .selectFrom('stage_results')
    .select('stage')
    .where('job_id', '=', job.id)
    .where('state', '=', 'done')
    .execute()
  return stagesOf(JobType.parse(job.type)).filter((name) => !done.some((row) => row.stage === name))
}
