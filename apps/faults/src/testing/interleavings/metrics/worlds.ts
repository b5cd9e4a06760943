import { randomUUID } from 'node:crypto'
import { addDays, type DayRange } from '@aduana/contracts/dates'
import type { Principal } from '@aduana/contracts/identity'
import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import type { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import type { Expression } from '@aduana/contracts/metrics/expression'
import { type Database, inTransaction } from '@aduana/db/database'
import { saveMetrics } from '@aduana/metrics/registry/metrics'
import { saveSeries } from '@aduana/metrics/registry/series'
import { type ClaimedRun, claimRuns } from '@aduana/metrics/runner/claim'
import { expirePendingRuns } from '@aduana/metrics/runs/expire'
import { completeRuns, startRuns } from '@aduana/metrics/runs/runner-events'
import { acceptProjectionUpdate } from '@aduana/metrics/updates/accept'
import type { TestDatabase } from '@aduana/testkit/database'
import { buildIn, type WorldSnapshot } from '../snapshot.ts'
import { openRun } from './open-run.ts'

/** The state in which the sessions of a schedule begin. */
export interface MetricWorld {
  admin: Principal
  /** The runner of the metric `low`. */
  runner: Runner
  /** The run that the transactions change, and its attempt. */
  run: string
  attempt: number
  /** An update of orders that is loaded and not fanned out. */
  update: string
  /** Runs that the built-in runner has claimed, in the world and since. */
  begun: ClaimedRun[]
  /** The import of its results. */
  job?: string
  /** Keys of the events that the outbox has sent since. */
  sent: string[]
}

type Runner = 'builtin' | 'external'

export interface MetricWorldContext {
  database: TestDatabase
  admin: Principal
}

/** The day of the changes that caused the run of each world. */
export const FIRST_DAY = '2024-03-01'
/** The days of later changes. All differ, so that a lost change is detected. */
const LOADED_DAY = '2024-03-02'
export const REPORTED_DAY = '2024-03-03'
export const REQUESTED_DAY = '2024-03-04'
/** The results of a run, without any value. */
export const RESULTS = { url: 's3://results/manifest.json', sha256: 'a'.repeat(64) }

/** Returns a day as a list of ranges. */
export function dayRange(from: string): DayRange[] {
  return [{ from, to: addDays(from, 1) }]
}

const rowsOf = (dataset: string): Expression => ({ type: 'aggregate', op: 'count', series: `${dataset}.all` })

/** Returns the metric `low` of two datasets, in one of two equivalent forms. */
export function lowMetric(runner: Runner, reversed: boolean): MetricDefinitionInput {
  const of = [rowsOf('orders'), rowsOf('production')]
  const expression = { type: 'arithmetic', op: 'add', of: reversed ? of.reverse() : of } as const
  return { code: 'low', title: { en: 'Low', es: 'Bajo' }, runner, expression }
}

const HIGH: MetricDefinitionInput = {
  code: 'high',
  title: { en: 'High', es: 'Alto' },
  expression: { type: 'metric', metric: 'low' },
}

/** Returns an update of a dataset as an external program reports it. */
export function updateOf(dataset: string, day: string, eventKey = `${dataset} ${day}`): ProjectionUpdate {
  return { eventKey, dataset, occurredAt: new Date().toISOString(), days: dayRange(day), rows: 1 }
}

/** Builds a world in an empty database. */
export async function buildMetricWorld(
  context: MetricWorldContext,
  name: MetricWorldName,
): Promise<WorldSnapshot<MetricWorld>> {
  const tables = await ordinaryTables(context.database)
  const { world, restore } = await buildIn(context.database, tables, () => WORLDS[name](context))
  const begunBefore = [...world.begun]
  return {
    world,
    restore: async () => {
      world.begun.splice(0, Number.POSITIVE_INFINITY, ...begunBefore)
      world.sent.length = 0
      await restore()
    },
  }
}

/** All tables except those of data, users and definitions of datasets, which are kept. */
async function ordinaryTables({ pool }: TestDatabase): Promise<string[]> {
  const found = await pool.query<{ name: string }>(
    `select distinct conrelid::regclass::text as name from pg_constraint c join pg_class t on t.oid = c.conrelid
     where c.contype in ('f', 'p') and t.relkind = 'r' and not t.relispartition and t.relnamespace = 'public'::regnamespace
       and t.relname not in ('datasets', 'dataset_versions', 'order_detail', 'schema_migrations', 'users')
     order by 1`,
  )
  return found.rows.map(({ name }) => name)
}

/** Saves the two metrics of every world. There is no run yet. */
async function withMetrics(
  { database: { db, pool }, admin }: MetricWorldContext,
  runner: Runner,
): Promise<void> {
  await pool.query('delete from order_detail')
  await inTransaction(db, async (tx) => {
    for (const dataset of ['orders', 'production'])
      await saveSeries(
        tx,
        { code: `${dataset}.all`, title: { en: dataset, es: dataset }, dataset, column: null },
        admin.userId,
      )
    await saveMetrics(tx, [lowMetric(runner, false), HIGH], admin.userId)
  })
  // Without rows there would be nothing to recompute when a definition changes.
  await pool.query(
    `insert into order_detail (id, order_id, timestamp, company, warehouse, source_modified_timestamp, import_no, record, row_hash)
     select 1, 'A', $1::timestamptz, 'North', 'W1', $1::timestamptz, 1, 1, 'x'`,
    [`${FIRST_DAY}T12:00:00Z`],
  )
}

const report = (db: Database, update: ProjectionUpdate) =>
  inTransaction(db, (tx) => acceptProjectionUpdate(tx, update))

/** Returns the world of the open run of `low`, with a new loaded update. */
async function worldOf(
  { database: { pool }, admin }: MetricWorldContext,
  runner: Runner,
): Promise<MetricWorld> {
  const { id: run, attempt } = await openRun(pool, 'low')
  const update = randomUUID()
  await pool.query(
    `insert into dataset_updates (id, dataset_id, event_key, days, rows)
     select $1, id, 'loaded', $2::datemultirange, 1 from datasets where code = 'orders'`,
    [update, `{[${LOADED_DAY},${addDays(LOADED_DAY, 1)})}`],
  )
  return { admin, runner, run, attempt, update, begun: [], sent: [] }
}

async function waiting(context: MetricWorldContext): Promise<MetricWorld> {
  await withMetrics(context, 'builtin')
  await report(context.database.db, updateOf('orders', FIRST_DAY))
  return worldOf(context, 'builtin')
}

async function requested(context: MetricWorldContext, runner: Runner = 'builtin'): Promise<MetricWorld> {
  await withMetrics(context, runner)
  await report(context.database.db, updateOf('production', FIRST_DAY))
  await report(context.database.db, updateOf('orders', FIRST_DAY))
  return worldOf(context, runner)
}

async function running(context: MetricWorldContext): Promise<MetricWorld> {
  const world = await requested(context)
  const { runs } = await claimRuns(context.database.db, world.run, 'runner 1')
  return { ...world, begun: runs }
}

/** Makes the runs overdue. */
async function makeOverdue({ database: { pool } }: MetricWorldContext): Promise<void> {
  await pool.query(`update metric_runs set requested_at = requested_at - interval '1 hour',
    started_at = started_at - interval '1 hour', last_heartbeat_at = last_heartbeat_at - interval '1 hour',
    expires_at = now() - interval '1 second'`)
}

async function startedExternally(context: MetricWorldContext): Promise<MetricWorld> {
  const world = await requested(context, 'external')
  const { run: runId, attempt } = world
  const at = new Date().toISOString()
  await inTransaction(context.database.db, (tx) => startRuns(tx, [{ runId, attempt, at, runner: 'outside' }]))
  return world
}

async function announced(context: MetricWorldContext): Promise<MetricWorld> {
  const world = await startedExternally(context)
  const { run: runId, attempt } = world
  const of = { runId, attempt, at: new Date().toISOString() }
  const days = dayRange(FIRST_DAY)
  await inTransaction(context.database.db, (tx) =>
    completeRuns(tx, [{ ...of, status: 'succeeded', rowCount: 0, days, manifest: RESULTS }]),
  )
  await makeOverdue(context)
  const { job_id: job } = await openRun(context.database.pool, 'low')
  return job === null ? world : { ...world, job }
}

/** The worlds by name. */
const WORLDS = {
  /** Its second dataset has no update, and the deadline has passed. */
  'waits for a dataset': async (context) => {
    const world = await waiting(context)
    await makeOverdue(context)
    return world
  },
  /** It was requested from the built-in runner, which has not started it in time. */
  'is requested': async (context) => {
    const world = await requested(context)
    await makeOverdue(context)
    return world
  },
  /** The built-in runner has started it, and its heartbeat has timed out. */
  'has a silent runner': async (context) => {
    const world = await running(context)
    await makeOverdue(context)
    return world
  },
  /** It is due to be requested again, and its silent runner resumes. */
  'has timed out': async (context) => {
    const world = await running(context)
    await context.database.pool.query(
      `update metric_runs set status = 'TIMED_OUT', retry_at = now() - interval '1 second' where status = 'RUNNING'`,
    )
    return world
  },
  'has failed': async (context) => {
    const world = await running(context)
    const { run: runId, attempt } = world
    const error = { code: 'broken', detail: 'It failed.' }
    const at = new Date().toISOString()
    await inTransaction(context.database.db, (tx) =>
      completeRuns(tx, [{ runId, attempt, at, status: 'failed', error }]),
    )
    return world
  },
  'has expired': async (context) => {
    const world = await waiting(context)
    await makeOverdue(context)
    await inTransaction(context.database.db, (tx) => expirePendingRuns(tx))
    return world
  },
  /** Its metric depends on another one, which has just been computed. */
  'depends on another run': async (context) => {
    const world = await running(context)
    const at = new Date().toISOString()
    await inTransaction(context.database.db, (tx) =>
      completeRuns(
        tx,
        world.begun.map(({ runId, attempt, days }) => ({
          runId,
          attempt,
          at,
          status: 'succeeded',
          rowCount: 1,
          days: [...days],
        })),
      ),
    )
    const { id: run, attempt } = await openRun(context.database.pool, 'high')
    return { ...world, run, attempt }
  },
  'is requested from an external runner': async (context) => {
    const world = await requested(context, 'external')
    await makeOverdue(context)
    return world
  },
  'has a silent external runner': async (context) => {
    const world = await startedExternally(context)
    await makeOverdue(context)
    return world
  },
  /** Its runner has written its values to files, which are loaded and not published. */
  'waits for the import of its results': announced,
  /** The import of its results was cancelled. */
  'has lost the import of its results': async (context) => {
    const world = await announced(context)
    await context.database.pool.query(
      `delete from window_locks; update jobs set status = 'CANCELLED', completed_at = now()`,
    )
    return world
  },
} satisfies Record<string, (context: MetricWorldContext) => Promise<MetricWorld>>

export type MetricWorldName = keyof typeof WORLDS
