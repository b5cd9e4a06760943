import { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, inTransaction } from '@aduana/db/database'
import { undoImport } from '@aduana/jobs/undo/undo-import'
import { saveMetrics } from '@aduana/metrics/registry/metrics'
import { retryRun } from '@aduana/metrics/runs/manual'
import { registerShippedMetrics } from '@aduana/metrics/shipped/shipped'
import { acceptProjectionUpdate } from '@aduana/metrics/updates/accept'
import { startApi } from '@aduana/testkit/api'
import type { ProductProcess } from '@aduana/testkit/processes'
import { createRandom } from '@aduana/testkit/random'
import type { TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { expect } from 'vitest'
import { isSettled } from '../../metrics/settled.ts'
import { SCENARIO_METRICS } from './scenario-metrics.ts'
import { DATASETS, type Dataset, scenarioFiles } from './world.ts'

/** What goes on with metrics while a process is killed. */
export interface MetricStory {
  /** Start the process that will die, with these settings, and bring it to the place where it does. */
  begin(system: TestSystem, settings: Record<string, string>): Promise<ProductProcess>
  /** What its users do before a worker is there again. */
  meanwhile?(system: TestSystem): Promise<void>
  /** What they do once everything has settled. */
  end?(system: TestSystem): Promise<void>
}

export type MetricStoryName = 'import' | 'undo' | 'projection' | 'stopping' | 'silence' | 'expiry'

const WITHIN = 120_000
const WEEKS_AGO_MS = 62 * 24 * 3_600_000

const files = scenarioFiles(createRandom(11))

/** Accept one file of each of these datasets; answers the ids of the jobs. */
export function acceptFiles(
  system: TestSystem,
  datasets: readonly Dataset[] = ['production', 'orders'],
): Promise<string[]> {
  return Promise.all(
    datasets.map((dataset) => {
      const content = files.find((file) => file.dataset === dataset)?.content ?? ''
      return system.accept(content, { dataset })
    }),
  )
}

/** Declare the shipped metrics and those of the scenario. */
export async function declareMetrics({ database: { db } }: TestSystem): Promise<void> {
  await registerShippedMetrics(db)
  const definitions = SCENARIO_METRICS.map(({ definition }) => definition)
  await inTransaction(db, (tx) => saveMetrics(tx, definitions, null))
}

/** Metrics that are computed, of one file of each of these datasets; nobody works any more. */
async function computed(system: TestSystem, datasets?: readonly Dataset[]): Promise<string[]> {
  const worker = await system.startWorker()
  const ids = await acceptFiles(system, datasets)
  await until(() => isSettled(system.database.pool), { what: 'the metrics are computed', within: WITHIN })
  await worker.stop()
  return ids
}

async function begun(system: TestSystem, status: string): Promise<void> {
  await until(
    async () =>
      (await system.database.pool.query('select from metric_runs where status = $1 limit 1', [status]))
        .rowCount === 1,
    { what: `runs are ${status}`, within: WITHIN },
  )
}

/** Somebody outside makes more pieces of all that were made. */
const WRITE = 'update fact_production set cantidad = cantidad + 7'
const updateOf = (occurredAt: Date) =>
  ProjectionUpdate.parse({
    eventKey: 'outside',
    dataset: 'production',
    occurredAt: occurredAt.toISOString(),
    days: [{ from: '2026-01-01', to: '2026-07-01' }],
    rows: 90,
  })

/** Two imports, whose metrics follow. */
const imports: MetricStory = {
  begin: async (system, settings) => {
    const doomed = await system.startWorker(settings)
    await acceptFiles(system)
    return doomed
  },
}

const undo: MetricStory = {
  begin: async (system, settings) => {
    const [first = ''] = await computed(system)
    const doomed = await system.startWorker(settings)
    await undoImport({ db: system.database.db, maxQueued: 1000 }, system.admin, first, { unwind: false })
    return doomed
  },
}

/** The API dies while it is told of a change. Its sender hears nothing, and tells it again. */
const projection: MetricStory = {
  begin: async (system, settings) => {
    await computed(system)
    const api = await startApi(system, settings)
    await system.database.pool.query(WRITE)
    const told = api.fetch('/api/projections', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(updateOf(new Date())),
    })
    await expect(told).rejects.toThrow('fetch failed')
    return api.process
  },
  meanwhile: async (system) => {
    await tell(system, new Date())
  },
}

const tell = (system: TestSystem, occurredAt: Date) =>
  inTransaction(system.database.db, (tx) => acceptProjectionUpdate(tx, updateOf(occurredAt)))

/** A worker that is told to stop in a computation dies before it has given its runs back. */
const stopping: MetricStory = {
  begin: async (system, settings) => {
    const doomed = await system.startWorker(settings)
    const client = await system.database.pool.connect()
    try {
      await client.query(
        `begin; set local idle_in_transaction_session_timeout = 0; lock table daily_metrics in share mode`,
      )
      await acceptFiles(system)
      await begun(system, 'RUNNING')
      doomed.signal('SIGTERM')
      await doomed.exited
    } finally {
      await client.query('rollback')
      client.release()
    }
    return doomed
  },
}

/** Who takes the dead for dead dies as well. */
const silence: MetricStory = {
  begin: async (system, settings) => {
    const first = await system.startWorker({ ADUANA_FAIL_POINTS: 'metrics.before-commit=kill' })
    await acceptFiles(system)
    await first.exited
    return system.startWorker(settings)
  },
}

/** A change of weeks ago, beside which no other dataset has one. */
const expiry: MetricStory = {
  begin: async (system, settings) => {
    await declareMetrics(system)
    await computed(system, DATASETS)
    // It looks after runs as soon as it has begun to start: what makes it die must not be there before it is ready.
    const doomed = await system.startWorker(settings)
    await system.database.pool.query(WRITE)
    await tell(system, new Date(Date.now() - WEEKS_AGO_MS))
    return doomed
  },
  end: async ({ database: { db, pool } }) => {
    for (;;) {
      const { rows } = await pool.query<{ id: string }>(
        `select id from metric_runs where status = 'EXPIRED' and taken_over_by is null`,
      )
      if (rows.length === 0) return
      for (const { id } of rows) await retryUnlessTaken(db, id)
      await until(() => isSettled(pool), { what: 'everything has settled', within: WITHIN })
    }
  },
}

/** Retry a run, unless one that follows from the retry of another has taken it over by now. */
async function retryUnlessTaken(db: Database, id: string): Promise<void> {
  try {
    await inTransaction(db, (tx) => retryRun(tx, id, null))
  } catch (error) {
    if (!(error instanceof ProblemError && error.code === 'illegal_run_transition')) throw error
  }
}

export const METRIC_STORIES: Record<MetricStoryName, MetricStory> = {
  import: imports,
  undo,
  projection,
  stopping,
  silence,
  expiry,
}
