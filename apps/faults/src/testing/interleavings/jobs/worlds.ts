import { randomUUID } from 'node:crypto'
import type { Principal } from '@aduana/contracts/identity'
import { ImportForm } from '@aduana/contracts/jobs'
import type { LoadPreview } from '@aduana/contracts/load-preview'
import type { StageName } from '@aduana/contracts/stages'
import type { Database } from '@aduana/db/database'
import { acceptImport, newJobId } from '@aduana/jobs/accept/accept-import'
import { admit } from '@aduana/jobs/dispatch/dispatch'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { beginStage, type StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import { type Lease, takeLease } from '@aduana/jobs/windows/leases'
import type { TestDatabase } from '@aduana/testkit/database'
import { buildIn, type WorldSnapshot } from '../snapshot.ts'

/** The jobs of the state in which the sessions of a schedule begin. */
export interface World {
  admin: Principal
  /** The job that the transactions are about. */
  job: string
  /** SHA-256 of its file. */
  sha256: string
  /** Another job of the world that waits for the same days. */
  other?: string
  /** The open stage attempt. */
  stageAttempt?: StageAttempt
  lease?: Lease
}

/** Builds a world in an empty database. */
export async function buildWorld(context: WorldContext, name: WorldName): Promise<WorldSnapshot<World>> {
  const tables = await tablesOfJobs(context.database)
  return buildIn(context.database, tables, () => WORLDS[name](context))
}

async function tablesOfJobs({ pool }: TestDatabase): Promise<string[]> {
  const found = await pool.query<{ name: string }>(`select distinct conrelid::regclass::text as name
    from pg_constraint where contype = 'f' and confrelid in ('jobs'::regclass, 'metric_runs'::regclass) union select 'jobs'`)
  return found.rows.map(({ name }) => name)
}

export interface WorldContext {
  database: TestDatabase
  admin: Principal
}

export const LIMITS = { maxActive: 100, maxActivePerTenant: 100 }
export const DAYS = { from: '2024-03-01', to: '2024-03-04' }
export const WINDOW = { scope: '', ...DAYS }
const FAR_AHEAD = '2099-01-01T00:00:00Z'
const BEFORE_LOAD: readonly StageName[] = ['parse', 'validate', 'quarantine']

/** Accepts an import of `orders` as the API does. Its file does not exist, because nothing reads it. */
export async function accept(
  db: Database,
  admin: Principal,
  form: Record<string, string>,
  sha256 = freshSha(),
): Promise<string> {
  const jobId = newJobId()
  const upload = {
    jobId,
    key: `jobs/${jobId}/accept/0/original`,
    stored: { bytes: 10, sha256 },
    fileName: 'orders.csv',
    mediaType: 'text/csv',
  }
  await acceptImport({ db, maxQueued: 1000 }, admin, upload, ImportForm.parse({ dataset: 'orders', ...form }))
  return jobId
}

function freshSha(): string {
  return randomUUID().replaceAll('-', '').repeat(2)
}

type Build = (context: WorldContext) => Promise<World>

async function accepted(
  { database, admin }: WorldContext,
  form: Record<string, string> = {},
): Promise<World> {
  const sha256 = freshSha()
  return { admin, sha256, job: await accept(database.db, admin, form, sha256) }
}

/** Marks stages as done. */
async function finishStages(
  { pool }: TestDatabase,
  job: string,
  stages: readonly StageName[],
): Promise<void> {
  for (const stage of stages)
    await pool.query(
      `insert into stage_results (job_id, stage, attempt, try, state, worker, finished_at, output)
       select id, $2, attempt, 1, 'done', 'worker', now(), '{}' from jobs where id = $1`,
      [job, stage],
    )
}

/** Builds an admitted import with an open attempt at `stage`. */
async function atStage(
  context: WorldContext,
  stage: StageName,
  form: Record<string, string> = {},
): Promise<World> {
  const { database } = context
  const world = await accepted(context, form)
  await admit(database.db, LIMITS)
  const stages: StageName[] = [...BEFORE_LOAD, 'load', 'fan-out']
  await finishStages(database, world.job, stages.slice(0, stages.indexOf(stage)))
  // Its days are known: a load that finds its days late waits for others for a fixed time.
  await database.pool.query('update imports set found_window = $2 where job_id = $1', [
    world.job,
    `[${DAYS.from},${DAYS.to})`,
  ])
  return { ...world, stageAttempt: await begun(database.db, world.job, stage) }
}

async function begun(db: Database, jobId: string, stage: StageName): Promise<StageAttempt> {
  const started = await beginStage(db, { jobId, attempt: 1 }, stage, 'worker 1')
  if (started.kind !== 'begun') throw new Error(`stage ${stage} did not begin: ${started.kind}`)
  return started.stageAttempt
}

async function loaded(context: WorldContext): Promise<World> {
  const world = await atStage(context, 'load')
  const { pool } = context.database
  await pool.query(
    `update stage_results set state = 'done', finished_at = now(), output = '{"beforeRows": 0}' where job_id = $1 and state = 'running'`,
    [world.job],
  )
  await pool.query(
    `update jobs set records = 1, loaded = 1, inserted = 1, updated = 0, unchanged = 0, removed = 0, quarantined = 0,
       duplicates = 0, conflicts = 0, loaded_at = now() where id = $1`,
    [world.job],
  )
  await pool.query(
    `insert into window_ledger_before (job_id, dataset_id, scope, day) select job_id, dataset_id, '', $2 from imports where job_id = $1`,
    [world.job, DAYS.from],
  )
  return world
}

async function leased(context: WorldContext): Promise<World> {
  const world = await atStage(context, 'load', DAYS)
  const lease = await takeLease(context.database.db, world.job, 'worker 1/1.1')
  return lease ? { ...world, lease } : world
}

/** The worlds by name. */
const WORLDS = {
  /** A queued import that waits for a window, which is now free. */
  'waits for a free window': async (context) => {
    const holder = await accepted(context, { ...DAYS, startAt: FAR_AHEAD })
    const world = await accepted(context, { ...DAYS, onConflict: 'wait' })
    await cancelJob(context.database.db, context.admin, holder.job)
    return world
  },
  /** The same, with a second waiter. */
  'is the first waiter': async (context) => {
    const holder = await accepted(context, { ...DAYS, startAt: FAR_AHEAD })
    const world = await accepted(context, { ...DAYS, onConflict: 'wait' })
    const behind = await accepted(context, { ...DAYS, onConflict: 'wait' })
    await cancelJob(context.database.db, context.admin, holder.job)
    return { ...world, other: behind.job }
  },
  /** Its load has begun and is about to claim its window, which is free. */
  'is about to claim': (context) => atStage(context, 'load'),
  /** Its load holds its window and its lease. */
  'holds its lease': leased,
  /** The same, but its heartbeat has timed out, and a later import waits for the window. */
  'has a silent worker': async (context) => {
    const world = await leased(context)
    const behind = await accepted(context, { ...DAYS, onConflict: 'wait' })
    await context.database.pool.query(
      `update stage_results set heartbeat_at = now() - interval '1 hour' where state = 'running'`,
    )
    await context.database.pool.query(`update window_leases set expires_at = now() - interval '1 hour'`)
    return { ...world, other: behind.job }
  },
  'has failed': async (context) => {
    const world = await accepted(context, DAYS)
    await context.database.pool.query(
      `delete from window_locks; update jobs set status = 'FAILED', error = '{"code": "internal", "detail": "x"}', completed_at = now()`,
    )
    return world
  },
  'waits for approval': async (context) => {
    const world = await atStage(context, 'load')
    const { pool } = context.database
    await pool.query(`update stage_results set state = 'parked', finished_at = now() where state = 'running'`)
    await pool.query(`update jobs set waiting_for = 'approval', approval_asked_at = now() where id = $1`, [
      world.job,
    ])
    await pool.query(`insert into load_previews (job_id, basis_sha256, preview) values ($1, $2, $3)`, [
      world.job,
      freshSha(),
      { preview: PREVIEW, needsApproval: [{ code: 'requested', detail: 'requested' }] },
    ])
    return world
  },
  /** Its rows are in the table, and its last stage has begun. */
  'is in its fan-out': async (context) => {
    const world = await loaded(context)
    await finishUpdate(context.database, world.job)
    return { ...world, stageAttempt: await begun(context.database.db, world.job, 'fan-out') }
  },
  'is completed': async (context) => {
    const world = await loaded(context)
    await finishUpdate(context.database, world.job)
    await context.database.pool.query(`update jobs set status = 'COMPLETED', completed_at = now()`)
    return world
  },
} satisfies Record<string, Build>

export type WorldName = keyof typeof WORLDS

async function finishUpdate({ pool }: TestDatabase, job: string): Promise<void> {
  await pool.query(
    `insert into dataset_updates (dataset_id, job_id, event_key, days, rows) select dataset_id, id, id::text, '{}', 1 from jobs where id = $1`,
    [job],
  )
}

const NO_CHANGES = { inserted: 0, changed: 0, unchanged: 0, removed: 0 }
const PREVIEW: LoadPreview = {
  mode: 'upsert',
  matchedBy: ['order_id'],
  totals: NO_CHANGES,
  alreadyPresent: 0,
  sameVersion: { rows: 0, example: null },
  rows: { before: 0, after: 0 },
  days: [],
  daysLeftOut: 0,
  sums: [],
  newMembers: [],
}
