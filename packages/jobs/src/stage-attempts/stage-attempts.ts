import type { JobFailure } from '@aduana/contracts/failures'
import { isFinal, JobStatus, JobType } from '@aduana/contracts/job-states'
import {
  overallProgress,
  STAGES,
  type StageName,
  type StagePayload,
  stageIndex,
  stagesOf,
} from '@aduana/contracts/stages'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import { sql } from 'kysely'
import {
  isOtherSuspectRunning,
  MAX_LOST_ATTEMPTS,
  SUSPECT_AFTER_LOSSES,
  workerLostFailure,
} from '../dispatch/poison-jobs.ts'
import { tryCancelJob, tryFailJob } from '../lifecycle/finish.ts'
import { changeJob, lockOpenJob, type OpenJob, OvertakenError } from '../lifecycle/transitions.ts'
import { HEARTBEAT_TIMEOUT_SECONDS, terminateStaleBackends } from './stale-backends.ts'

/** A stage attempt: its key in `stage_results`, and the fence of all its writes. */
export interface StageAttempt {
  jobId: string
  /** The type of the job, which determines its stages. */
  type: JobType
  stage: StageName
  attempt: number
  /** A stage can be delivered more than once within an attempt; only the newest delivery may commit. */
  try: number
}

export type StageStart =
  | { kind: 'begun'; stageAttempt: StageAttempt }
  | { kind: 'already-done' }
  | { kind: 'busy' }
  | { kind: 'stop'; reason: string }

/** The reason for which a stage does not begin when the job was cancelled instead. */
export const CANCELLED = 'cancelled'

/**
 * Begins a stage if it is due according to PostgreSQL: the job is in this attempt, the stages before are done and this one
 * is not, no live worker executes one, and no cancellation was requested. The order of the flow is not trusted. Returns the
 * new stage attempt, or why none was opened. Cancels the job when that was requested, and fails it after too many losses.
 */
export async function beginStage(
  db: Database,
  payload: StagePayload,
  stage: StageName,
  worker: string,
): Promise<StageStart> {
  await terminateStaleBackends(db, payload.jobId)
  return inTransaction(db, async (tx): Promise<StageStart> => {
    const job = await tx
      .selectFrom('jobs')
      .select(['type', 'status', 'attempt', 'cancel_requested_at', 'waiting_for', 'lost_count'])
      .where('id', '=', payload.jobId)
      .forNoKeyUpdate()
      .executeTakeFirst()
    if (!job) return { kind: 'stop', reason: 'the job does not exist' }
    if (isFinal(JobStatus.parse(job.status))) return { kind: 'stop', reason: `the job is ${job.status}` }
    if (job.attempt !== payload.attempt)
      return { kind: 'stop', reason: `overtaken by attempt ${job.attempt}` }
    if (job.waiting_for !== null) return { kind: 'stop', reason: `the job waits for its ${job.waiting_for}` }
    const log = await readLog(tx, payload.jobId)
    if (log.some((row) => row.stage === stage && row.state === 'done')) return { kind: 'already-done' }
    if (job.cancel_requested_at !== null && (await tryCancelJob(tx, payload)))
      return { kind: 'stop', reason: CANCELLED }
    const type = JobType.parse(job.type)
    const stages = stagesOf(type)
    if (!stages.includes(stage)) return { kind: 'stop', reason: `the job has no stage ${stage}` }
    const before = stages.slice(0, stages.indexOf(stage))
    const open = before.find((name) => !log.some((row) => row.stage === name && row.state === 'done'))
    if (open !== undefined) return { kind: 'stop', reason: `stage ${open} is not done` }
    if (log.some((row) => row.state === 'running' && row.alive)) return { kind: 'busy' }
    const begun = log.some((row) => row.stage === stage)
    const losses = begun ? job.lost_count + (diedAt(stage, log) ? 1 : 0) : 0
    if (losses > MAX_LOST_ATTEMPTS) {
      const failure = workerLostFailure(stage, 'its worker died or froze each time')
      if (await tryFailJob(tx, payload, failure))
        return { kind: 'stop', reason: 'its workers died too often' }
    }
    if (losses >= SUSPECT_AFTER_LOSSES && (await isOtherSuspectRunning(tx, payload.jobId)))
      return { kind: 'busy' }
    return { kind: 'begun', stageAttempt: await openAttempt(tx, payload, { type, stage }, worker, log) }
  })
}

interface LogRow {
  stage: string
  attempt: number
  try: number
  state: string
  alive: boolean
}

async function readLog(tx: Tx, jobId: string): Promise<LogRow[]> {
  const rows = await sql<LogRow>`select stage, attempt, try, state,
      heartbeat_at > clock_timestamp() - make_interval(secs => ${HEARTBEAT_TIMEOUT_SECONDS}) as alive
    from stage_results where job_id = ${jobId}`.execute(tx)
  return rows.rows
}

/** Returns whether the previous attempt at this stage is open and its heartbeat has timed out. */
function diedAt(stage: StageName, log: readonly LogRow[]): boolean {
  return log.some((row) => row.stage === stage && row.state === 'running' && !row.alive)
}

async function openAttempt(
  tx: Tx,
  payload: StagePayload,
  { type, stage }: Pick<StageAttempt, 'type' | 'stage'>,
  worker: string,
  log: LogRow[],
): Promise<StageAttempt> {
  const { jobId, attempt } = payload
  await tx
    .updateTable('stage_results')
    .set({ state: 'lost', finished_at: sql<Date>`clock_timestamp()`, lost_because: 'heartbeat timed out' })
    .where('job_id', '=', jobId)
    .where('state', '=', 'running')
    .execute()
  const earlier = log.filter((row) => row.stage === stage && row.attempt === attempt).map((row) => row.try)
  const tryNo = Math.max(0, ...earlier) + 1
  await tx
    .insertInto('stage_results')
    .values({ job_id: jobId, stage, attempt, try: tryNo, state: 'running', worker })
    .execute()
  const title = STAGES[stageIndex(stage)]?.title ?? stage
  await changeJob(
    tx,
    { jobId, attempt, from: ['PROCESSING'] },
    {
      stage,
      message: title,
      // A stage that begins for the first time is progress, so the job did not cause the earlier losses.
      ...(log.some((row) => row.stage === stage) ? {} : { lost_count: 0 }),
      ...(diedAt(stage, log) ? { lost_count: sql<number>`lost_count + 1` } : {}),
      progress: sql<string>`greatest(progress, ${overallProgress(stage, 0, type)})`,
    },
  )
  return { jobId, type, stage, attempt, try: tryNo }
}

/**
 * Locks and returns the job of a stage attempt, for a transaction that commits something other than the end of the attempt.
 * The attempt remains current until the transaction ends: a process that takes it over locks the job first.
 * @throws OvertakenError so that the transaction rolls back
 */
export async function lockJobOfAttempt(tx: Tx, stageAttempt: StageAttempt): Promise<OpenJob> {
  const job = await lockOpenJob(tx, stageAttempt.jobId)
  const open = await sql`select from stage_results where ${isOpen(stageAttempt)}`.execute(tx)
  if (!job || open.rows.length !== 1) throw overtaken(stageAttempt)
  return job
}

/** Returns the condition that a row of `stage_results` is this attempt, and still open. */
function isOpen({ jobId, stage, attempt, try: tryNo }: StageAttempt) {
  return sql<boolean>`job_id = ${jobId} and stage = ${stage} and attempt = ${attempt} and try = ${tryNo} and state = 'running'`
}

function overtaken({ stage, jobId }: StageAttempt): OvertakenError {
  return new OvertakenError(`stage ${stage} of job ${jobId} was overtaken`)
}

/**
 * Marks a stage attempt as done, with its output, in the transaction that writes the effects of the stage. Only the newest
 * attempt can do so.
 * @throws OvertakenError so that the transaction rolls back
 */
export async function commitStage(
  tx: Tx,
  stageAttempt: StageAttempt,
  output: Record<string, unknown>,
): Promise<void> {
  const done = await tx
    .updateTable('stage_results')
    .set({ state: 'done', finished_at: sql<Date>`clock_timestamp()`, output: jsonb(output) })
    .where(isOpen(stageAttempt))
    .executeTakeFirst()
  if (done.numUpdatedRows !== 1n) throw overtaken(stageAttempt)
}

/**
 * The state in which a worker closes a stage attempt that did not succeed: it failed, the job waits for a window or an
 * approval, or the worker returns the work to the queue. An attempt whose worker died is closed by another worker.
 */
export type UnfinishedState = 'failed' | 'parked' | 'released'

/** Closes a stage attempt that did not succeed. Returns false when it is no longer open: overtaken, or done. */
export async function tryCloseAttempt(
  tx: Tx,
  stageAttempt: StageAttempt,
  state: UnfinishedState,
  failure: JobFailure | null,
): Promise<boolean> {
  // A process that ends the job locks the job before its stage attempts.
  await sql`select from jobs where id = ${stageAttempt.jobId} for no key update`.execute(tx)
  const closed = await tx
    .updateTable('stage_results')
    .set({
      state,
      finished_at: sql<Date>`clock_timestamp()`,
      error: failure === null ? null : jsonb(failure),
    })
    .where(isOpen(stageAttempt))
    .executeTakeFirst()
  return closed.numUpdatedRows === 1n
}

/**
 * Closes a stage attempt that did not succeed, in a transaction that must only commit if the attempt is still open.
 * @throws OvertakenError so that the transaction rolls back
 */
export async function closeAttempt(
  tx: Tx,
  stageAttempt: StageAttempt,
  state: UnfinishedState,
  failure: JobFailure | null,
): Promise<void> {
  if (!(await tryCloseAttempt(tx, stageAttempt, state, failure))) throw overtaken(stageAttempt)
}

/**
 * Deletes a stage attempt that did nothing because its job has to wait.
 * @throws OvertakenError when the attempt is no longer open
 */
export async function deleteAttempt(tx: Tx, stageAttempt: StageAttempt): Promise<void> {
  const gone = await tx.deleteFrom('stage_results').where(isOpen(stageAttempt)).executeTakeFirst()
  if (gone.numDeletedRows !== 1n) throw overtaken(stageAttempt)
}

/** Returns the output of a stage of a job for later stages; undefined when the stage is not done. */
export async function stageOutput(db: Database | Tx, jobId: string, stage: StageName): Promise<unknown> {
  const row = await db
    .selectFrom('stage_results')
    .select('output')
    .where('job_id', '=', jobId)
    .where('stage', '=', stage)
    .where('state', '=', 'done')
    .executeTakeFirst()
  return row?.output
}
