import { JobType, OPEN_JOBS } from '@aduana/contracts/job-states'
import { STAGE_NAMES, StageName, stagesOf } from '@aduana/contracts/stages'
import type { Database } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { sql } from 'kysely'

/** A worker without a heartbeat for longer than this is not counted. */
const WORKER_TIMEOUT_SECONDS = 30
/** A stage attempt without a heartbeat for longer than this has no worker: several heartbeats were missed. */
const ALIVE_SECONDS = 15
/** How long the rows of workers that did not deregister are kept, for diagnosis. */
const RETENTION_HOURS = 24

/** Records a heartbeat of a worker that takes jobs of these stages. */
export async function recordWorkerHeartbeat(
  db: Database,
  id: string,
  stages: readonly StageName[],
): Promise<void> {
  await sql`insert into workers (id, stages) values (${id}, ${[...stages]}::text[])
    on conflict (id) do update set stages = excluded.stages, seen_at = clock_timestamp(), ended_at = null`.execute(
    db,
  )
}

/** Removes a worker that has stopped from the registry. */
export async function deregisterWorker(db: Database, id: string): Promise<void> {
  await db.deleteFrom('workers').where('id', '=', id).execute()
}

/** Removes workers that ended long ago without deregistering. Returns how many. */
export async function pruneWorkers(db: Database): Promise<number> {
  const gone = await db
    .deleteFrom('workers')
    .where('seen_at', '<', sql<Date>`clock_timestamp() - make_interval(hours => ${RETENTION_HOURS})`)
    .executeTakeFirst()
  return Number(gone.numDeletedRows)
}

/** Returns the number of open stage attempts of this worker at these jobs with a recent heartbeat. */
export async function countAliveAttempts(
  db: Database,
  worker: string,
  jobIds: readonly string[],
): Promise<number> {
  const found = await sql<{ attempts: string }>`select count(*) as attempts from stage_results
    where worker = ${worker} and state = 'running' and job_id::text = any(${[...jobIds]}::text[])
      and heartbeat_at > clock_timestamp() - make_interval(secs => ${ALIVE_SECONDS})`.execute(db)
  return Number(found.rows[0]?.attempts ?? 0)
}

/** The queue depth of a stage, and its workers. */
export interface QueueDepth {
  stage: StageName
  /** Jobs whose next stage this is and which no worker executes. */
  waiting: number
  /** When the oldest of them began to wait. */
  since: Date | null
  /** Number of workers that take jobs of the stage. */
  consumers: number
}

/**
 * Returns the queue depth and the number of workers of each stage, in the order of the stages. Reads PostgreSQL only, so
 * that the result is correct without Redis and without any worker.
 */
export async function readQueueDepth(db: Database): Promise<QueueDepth[]> {
  const [open, serving] = await Promise.all([readOpen(db), readServing(db)])
  const demands = STAGE_NAMES.map(
    (stage): QueueDepth => ({ stage, waiting: 0, since: null, consumers: serving.get(stage) ?? 0 }),
  )
  for (const { type, done, jobs, since } of open) {
    const next = stagesOf(JobType.parse(type)).find((stage) => !done.includes(stage))
    const demand = demands.find(({ stage }) => stage === next)
    if (!demand) continue
    demand.waiting += Number(jobs)
    if (demand.since === null || since < demand.since) demand.since = since
  }
  return demands
}

interface OpenJobs {
  type: string
  done: string[]
  jobs: string
  since: Date
}

async function readOpen(db: Database): Promise<OpenJobs[]> {
  const rows = await sql<OpenJobs>`
    select type, done, count(*) as jobs, min(since) as since from (
      select j.type, r.done,
        greatest(case j.status when 'QUEUED' then greatest(j.created_at, j.start_at) else coalesce(j.admitted_at, j.started_at, j.created_at) end, r.last) as since
      from jobs j cross join lateral (
        select coalesce(array_agg(s.stage order by s.stage) filter (where s.state = 'done'), '{}') as done,
          max(s.finished_at) as last,
          coalesce(bool_or(s.state = 'running' and
            s.heartbeat_at > clock_timestamp() - make_interval(secs => ${ALIVE_SECONDS})), false) as alive
        from stage_results s where s.job_id = j.id) r
      where j.status in (${literals(OPEN_JOBS)}) and j.waiting_for is null and not r.alive
        and (j.status = 'PROCESSING' or j.start_at is null or j.start_at <= now())) as open
    group by type, done`.execute(db)
  return rows.rows
}

async function readServing(db: Database): Promise<Map<StageName, number>> {
  const rows = await sql<{ stage: string; workers: string }>`
    select stage, count(*) as workers from workers, unnest(stages) as stage
    where seen_at > clock_timestamp() - make_interval(secs => ${WORKER_TIMEOUT_SECONDS}) and ended_at is null
    group by stage`.execute(db)
  return new Map(rows.rows.map(({ stage, workers }) => [StageName.parse(stage), Number(workers)]))
}
