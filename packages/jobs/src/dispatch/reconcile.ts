import { JobType } from '@aduana/contracts/job-states'
import { StageName, type StagePayload, stagesOf } from '@aduana/contracts/stages'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import type { Flows, StageJobState } from '@aduana/queue/flow'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { tryFailJob } from '../lifecycle/finish.ts'
import { tryChangeJob, wakeDispatchers } from '../lifecycle/transitions.ts'
import { HEARTBEAT_TIMEOUT_SECONDS, terminateStaleBackends } from '../stage-attempts/stale-backends.ts'
import { openStages } from './dispatch.ts'
import { MAX_LOST_ATTEMPTS, workerLostFailure } from './poison-jobs.ts'

const RUNNABLE: readonly StageJobState[] = ['active', 'waiting', 'delayed', 'prioritized']

interface Suspect {
  id: string
  attempt: number
}

interface QuietJob extends Suspect {
  type: string
}

/** The attempts that looked lost in the last pass, by job. Only what looks lost in two passes is acted on. */
export type Suspicions = Map<string, number>

/**
 * Finds jobs in state PROCESSING whose work is missing from BullMQ (Redis was wiped, a flow was tampered with, a worker
 * died too often), and has them admitted again. A stage attempt with a recent heartbeat is alive, whatever its state in
 * BullMQ.
 * @throws Error when Redis is unavailable; then the state of no job can be determined
 */
export async function reconcile(
  db: Database,
  flows: Flows,
  suspicions: Suspicions,
  logger: Logger,
): Promise<void> {
  const quiet = await quietJobs(db)
  const seen = new Set<string>()
  for (const job of quiet) {
    const state = await lookAt(db, flows, job)
    if (state === 'fine') continue
    seen.add(job.id)
    if (suspicions.get(job.id) !== job.attempt) {
      suspicions.set(job.id, job.attempt)
      continue
    }
    suspicions.delete(job.id)
    logger.warn({ event: 'dispatch.work_lost', jobId: job.id, attempt: job.attempt, found: state })
    await readmit(
      db,
      job,
      state === 'missing' || state === 'far-delayed'
        ? undefined
        : { stage: undefined, reason: `its state in the queue was ${state}` },
    )
  }
  for (const id of suspicions.keys()) if (!seen.has(id)) suspicions.delete(id)
}

/** Returns the admitted jobs without a recent heartbeat. */
async function quietJobs(db: Database): Promise<QuietJob[]> {
  const rows = await sql<QuietJob>`
    select j.id, j.type, j.attempt from jobs j
    where j.status = 'PROCESSING' and j.waiting_for is null
      and j.admitted_at < clock_timestamp() - interval '2 seconds'
      and not exists (select from stage_results s where s.job_id = j.id and s.attempt = j.attempt
        and s.state = 'running'
        and s.heartbeat_at > clock_timestamp() - make_interval(secs => ${HEARTBEAT_TIMEOUT_SECONDS}))`.execute(
    db,
  )
  return rows.rows
}

async function lookAt(
  db: Database,
  flows: Flows,
  job: QuietJob,
): Promise<'fine' | 'missing' | 'far-delayed' | 'failed' | 'stuck'> {
  const stages = await openStages(db, job)
  const all = await flows.states({ jobId: job.id, attempt: job.attempt }, stagesOf(JobType.parse(job.type)))
  const first = stages[0]
  if (first === undefined) return 'stuck'
  const index = all.length - stages.length
  const state = all[index] ?? 'missing'
  if (RUNNABLE.includes(state)) return 'fine'
  // The stage before has committed but its worker has not acknowledged it yet, or died first, so that it is delivered again.
  const before = index > 0 ? all[index - 1] : undefined
  if (state === 'waiting-children')
    return before !== undefined && RUNNABLE.includes(before) ? 'fine' : 'stuck'
  return state === 'failed' || state === 'missing' || state === 'far-delayed' ? state : 'stuck'
}

interface Death {
  stage: StageName | undefined
  reason: string
}

/** Fails a job. Returns false for an import that has loaded, which is retried until it succeeds. */
function giveUp(tx: Tx, job: Suspect, stage: string | null, death: Death): Promise<boolean> {
  const place = death.stage ?? StageName.parse(stage ?? 'parse')
  return tryFailJob(tx, { jobId: job.id, attempt: job.attempt }, workerLostFailure(place, death.reason))
}

/**
 * Handles a stage that BullMQ has failed because its workers died too often: has the job admitted again, or fails it after
 * too many losses.
 */
export async function failLostJob(
  db: Database,
  payload: StagePayload,
  stage: StageName,
  reason: string,
): Promise<void> {
  // A worker that is frozen inside its load holds locks on the rows that the end of the job deletes.
  await terminateStaleBackends(db, payload.jobId)
  await readmit(db, { id: payload.jobId, attempt: payload.attempt }, { stage, reason })
}

async function isOpen(tx: Tx, { id }: Suspect): Promise<boolean> {
  const open = await tx
    .selectFrom('stage_results')
    .select('stage')
    .where('job_id', '=', id)
    .where('state', '=', 'running')
    .executeTakeFirst()
  return open !== undefined
}

function readmit(db: Database, job: Suspect, death: Death | undefined): Promise<void> {
  return inTransaction(db, async (tx) => {
    const row = await tx
      .selectFrom('jobs')
      .select(['lost_count', 'stage'])
      .where('id', '=', job.id)
      .where('attempt', '=', job.attempt)
      .forNoKeyUpdate()
      .executeTakeFirst()
    if (!row) return
    if (death && row.lost_count >= MAX_LOST_ATTEMPTS && (await giveUp(tx, job, row.stage, death))) return
    const version = await tryChangeJob(
      tx,
      { jobId: job.id, attempt: job.attempt, from: ['PROCESSING'] },
      {
        admitted_at: null,
        // An open stage attempt that died is counted by the attempt that replaces it.
        lost_count: row.lost_count + (death && !(await isOpen(tx, job)) ? 1 : 0),
        message: 'The job was interrupted and is being restarted',
      },
    )
    if (version !== undefined) await wakeDispatchers(tx)
  })
}
