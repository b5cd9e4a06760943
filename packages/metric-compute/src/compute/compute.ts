import { unionOfLists } from '@aduana/datasets/coverage'
import type pg from 'pg'
import { unionOfDays } from '../expressions/days.ts'
import { referencesOf } from '../expressions/references.ts'
import type { SeriesPlaces } from '../series-place.ts'
import { evaluate } from './evaluate.ts'
import type { Leaves } from './leaf.ts'
import { lockMetrics } from './lock.ts'
import { readValues } from './metric-values.ts'
import { collectInputs, type PlannedRun, planRun, type RunToCompute } from './plan.ts'
import type { Restriction } from './rows.ts'
import { computeGroup } from './scan.ts'
import { scanGroups } from './scan-groups.ts'
import { openSession, SETTINGS, type Session } from './session.ts'
import { createRunTable, NO_CHANGE, type RunResult, sumsOf, writeValues } from './write-values.ts'

/** Runs to compute together. Each metric appears once. */
export interface Work {
  runs: readonly RunToCompute[]
  series: SeriesPlaces
}

/** How a computation is stopped and observed. */
export interface ComputeOptions {
  /**
   * Stops the computation between two statements. To stop a running statement, use `interruptible` of the db package.
   */
  signal?: AbortSignal | undefined
  /** Receives the completed share, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined
}

/**
 * Computes runs in the caller's transaction (READ COMMITTED). Updates `daily_metrics` on the days that the changed
 * days affect, and returns what changed, by run id.
 * The metrics stay locked until the transaction ends. They are locked before anything is read, so of two concurrent
 * computations the later one reads the newer data. A metric that needs another metric of the same call uses its new
 * values and its changed days.
 */
export async function computeMetrics(
  client: pg.PoolClient,
  work: Work,
  options: ComputeOptions = {},
): Promise<Map<string, RunResult>> {
  const session = openSession(client, options.signal)
  await lockMetrics(
    session,
    work.runs.map(({ definition }) => definition.code),
  )
  await session.set(SETTINGS)
  const results = new Map<string, RunResult>()
  const changed = new Map<string, RunResult>()
  let done = 0
  for (const layer of layersOf(work.runs)) {
    const runs = layer.map((run) => withInputChanges(run, changed))
    const report = (share: number) =>
      options.onProgress?.((done + share * layer.length) / Math.max(1, work.runs.length))
    for (const [runId, result] of await computeLayer(session, runs, work.series, report)) {
      results.set(runId, result)
      const code = runs.find((run) => run.runId === runId)?.definition.code
      if (code !== undefined) changed.set(code, result)
    }
    done += layer.length
  }
  return results
}

async function computeLayer(
  session: Session,
  given: readonly RunToCompute[],
  places: SeriesPlaces,
  report: (share: number) => void,
): Promise<Map<string, RunResult>> {
  const runs = given.map(planRun)
  const inputs = collectInputs(runs, places)
  const groups = scanGroups(inputs.aggregates)
  const leaves: Leaves = new Map()
  const restriction = restrictionOf(runs)
  for (const [index, group] of groups.entries()) {
    await computeGroup(session, group, places, restriction, leaves)
    report((0.7 * (index + 1)) / groups.length)
  }
  const inputSums = await readValues(session, inputs.values, leaves)
  const sums = runs.map(({ definition }) => sumsOf(definition, places, inputSums))
  const table = await createRunTable(session, runs, sums)
  const values = await evaluate(session, runs, leaves, table)
  report(0.9)
  const written = await writeValues(session, table, values)
  await session.clear()
  report(1)
  return new Map(runs.map((run) => [run.runId, written.get(run.index) ?? NO_CHANGE]))
}

/** Returns the cells that the runs may change; no run changes a cell outside of them. */
function restrictionOf(runs: readonly PlannedRun[]): Restriction {
  return {
    companies: unionOfLists(runs.map(({ companies }) => companies)),
    warehouses: unionOfLists(runs.map(({ warehouses }) => warehouses)),
  }
}

/** Returns the runs in layers. A run needs only metrics of earlier layers. */
function layersOf(runs: readonly RunToCompute[]): RunToCompute[][] {
  const byCode = new Map(runs.map((run) => [run.definition.code, run]))
  const levels = new Map<string, number>()
  const levelOf = (run: RunToCompute): number => {
    const { code, expression } = run.definition
    const known = levels.get(code)
    if (known !== undefined) return known
    const inputs = referencesOf(expression).metrics.flatMap((reference) => byCode.get(reference.code) ?? [])
    const level = 1 + Math.max(-1, ...inputs.map(levelOf))
    levels.set(code, level)
    return level
  }
  const layers: RunToCompute[][] = []
  for (const run of runs) {
    const level = levelOf(run)
    layers[level] = [...(layers[level] ?? []), run]
  }
  return layers
}

/** Returns a run extended by what this computation has changed in the metrics that it needs. */
function withInputChanges(run: RunToCompute, changed: ReadonlyMap<string, RunResult>): RunToCompute {
  const inputs = referencesOf(run.definition.expression).metrics.flatMap(
    ({ code }) => changed.get(code) ?? [],
  )
  const all = [run, ...inputs]
  return {
    ...run,
    days: unionOfDays(all.flatMap(({ days }) => days)),
    companies: unionOfLists(all.map(({ companies }) => companies)),
    warehouses: unionOfLists(all.map(({ warehouses }) => warehouses)),
  }
}
