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
import { DATASETS, type Dataset, scenarioFiles } from './changes.ts'
import { SCENARIO_METRICS } from './scenario-metrics.ts'

/** A workload of metrics during which a process is killed. */
export interface KillScenario {
  /** Starts the victim with these settings and runs the workload until it reaches its fail point. */
  begin(system: TestSystem, settings: Record<string, string>): Promise<ProductProcess>
  /** Runs what users do before another worker starts. */
  duringFault?(system: TestSystem): Promise<void>
  /** Runs what users do once everything has settled. */
  afterwards?(system: TestSystem): Promise<void>
}

export type KillScenarioName = 'import' | 'undo' | 'projection' | 'stopping' | 'silence' | 'expiry'

const WITHIN = 120_000
const WEEKS_AGO_MS = 62 * 24 * 3_600_000

const files = scenarioFiles(createRandom(11))

/** Accepts one file of each dataset and returns the ids of the jobs. */
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

/** Declares the shipped metrics and those of the scenario. */
export async function declareMetrics({ database: { db } }: TestSystem): Promise<void> {
  await registerShippedMetrics(db)
  const definitions = SCENARIO_METRICS.map(({ definition }) => definition)
  await inTransaction(db, (tx) => saveMetrics(tx, definitions, null))
}

/** Imports one file of each dataset, computes the metrics, and stops the worker. */
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

/** An external change of `production`. */
const WRITE = 'update fact_production set cantidad = cantidad + 7'
const updateOf = (occurredAt: Date) =>
  ProjectionUpdate.parse({
    eventKey: 'external',
    dataset: 'production',
    occurredAt: occurredAt.toISOString(),
    days: [{ from: '2026-01-01', to: '2026-07-01' }],
    rows: 90,
  })

/** Two imports and the runs that they cause. */
const imports: KillScenario = {
  begin: async (system, settings) => {
    const victim = await system.startWorker(settings)
    await acceptFiles(system)
    return victim
  },
}

const undo: KillScenario = {
  begin: async (system, settings) => {
    const [first = ''] = await computed(system)
    const victim = await system.startWorker(settings)
    await undoImport({ db: system.database.db, maxQueued: 1000 }, system.admin, first, { unwind: false })
    return victim
  },
}

/** The API dies while it accepts an update. The client gets no response, and reports the update again. */
const projection: KillScenario = {
  begin: async (system, settings) => {
    await computed(system)
    const api = await startApi(system, settings)
    await system.database.pool.query(WRITE)
    const report = api.fetch('/api/projections', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(updateOf(new Date())),
    })
    await expect(report).rejects.toThrow('fetch failed')
    return api.process
  },
  duringFault: async (system) => {
    await reportUpdate(system, new Date())
  },
}

const reportUpdate = (system: TestSystem, occurredAt: Date) =>
  inTransaction(system.database.db, (tx) => acceptProjectionUpdate(tx, updateOf(occurredAt)))

/** A worker is stopped during a computation and dies before it has returned its runs to the queue. */
const stopping: KillScenario = {
  begin: async (system, settings) => {
    const victim = await system.startWorker(settings)
    const client = await system.database.pool.connect()
    try {
      await client.query(
        `begin; set local idle_in_transaction_session_timeout = 0; lock table daily_metrics in share mode`,
      )
      await acceptFiles(system)
      await begun(system, 'RUNNING')
      victim.signal('SIGTERM')
      await victim.exited
    } finally {
      await client.query('rollback')
      client.release()
    }
    return victim
  },
}

/** The process that times out the runs of a dead worker dies as well. */
const silence: KillScenario = {
  begin: async (system, settings) => {
    const first = await system.startWorker({ ADUANA_FAIL_POINTS: 'metrics.before-commit=kill' })
    await acceptFiles(system)
    await first.exited
    return system.startWorker(settings)
  },
}

/** A change of weeks ago. No other dataset has a change within the required days. */
const expiry: KillScenario = {
  begin: async (system, settings) => {
    await declareMetrics(system)
    await computed(system, DATASETS)
    // A worker checks runs while it starts. The expired run must not exist before the worker is ready.
    const victim = await system.startWorker(settings)
    await system.database.pool.query(WRITE)
    await reportUpdate(system, new Date(Date.now() - WEEKS_AGO_MS))
    return victim
  },
  afterwards: async ({ database: { db, pool } }) => {
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

/** Retries a run, unless a run that follows from another retry has taken it over meanwhile. */
async function retryUnlessTaken(db: Database, id: string): Promise<void> {
  try {
    await inTransaction(db, (tx) => retryRun(tx, id, null))
  } catch (error) {
    if (!(error instanceof ProblemError && error.code === 'illegal_run_transition')) throw error
  }
}

export const KILL_SCENARIOS: Record<KillScenarioName, KillScenario> = {
  import: imports,
  undo,
  projection,
  stopping,
  silence,
  expiry,
}
