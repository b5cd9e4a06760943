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

/** The runs to be computed together; each metric once. */
export interface Work {
  runs: readonly RunToCompute[]
  series: SeriesPlaces
}

export interface ComputeOptions {
  /** Stops between statements; to stop one that runs, wrap the call into `interruptible` of the db package. */
  signal?: AbortSignal | undefined
  /** The share that is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined
}

/**
 * Compute runs within the caller's transaction (READ COMMITTED): bring `daily_metrics` to what the definitions say, on
 * the days that the changed days reach, and say by run what changed. The metrics are locked until the transaction
 * ends, before anything is read, so that of two computations the later one has the newer data. A metric that needs
 * another of the same call sees what this call makes of it, and the days that changed in it.
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
  const beneath = await readValues(session, inputs.values, leaves)
  const sums = runs.map(({ definition }) => sumsOf(definition, places, beneath))
  const table = await createRunTable(session, runs, sums)
  const values = await evaluate(session, runs, leaves, table)
  report(0.9)
  const written = await writeValues(session, table, values)
  await session.clear()
  report(1)
  return new Map(runs.map((run) => [run.runId, written.get(run.index) ?? NO_CHANGE]))
}

/** The cells outside of which no run changes anything. */
function restrictionOf(runs: readonly PlannedRun[]): Restriction {
  const all = (lists: readonly (readonly string[] | null)[]) =>
    lists.some((list) => list === null) ? null : [...new Set(lists.flatMap((list) => list ?? []))]
  return {
    companies: all(runs.map(({ companies }) => companies)),
    warehouses: all(runs.map(({ warehouses }) => warehouses)),
  }
}

/** The runs in layers: each needs only metrics of layers before its own. */
function layersOf(runs: readonly RunToCompute[]): RunToCompute[][] {
  const byCode = new Map(runs.map((run) => [run.definition.code, run]))
  const levels = new Map<string, number>()
  const levelOf = (run: RunToCompute): number => {
    const { code, expression } = run.definition
    const known = levels.get(code)
    if (known !== undefined) return known
    const below = referencesOf(expression).metrics.flatMap((reference) => byCode.get(reference.code) ?? [])
    const level = 1 + Math.max(-1, ...below.map(levelOf))
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

/** A run with what this computation has changed in the metrics that it needs. */
function withInputChanges(run: RunToCompute, changed: ReadonlyMap<string, RunResult>): RunToCompute {
  const beneath = referencesOf(run.definition.expression).metrics.flatMap(
    ({ code }) => changed.get(code) ?? [],
  )
  const cells = (own: readonly string[] | null, its: readonly (readonly string[] | null)[]) =>
    own === null || its.some((list) => list === null) ? null : [...own, ...its.flatMap((list) => list ?? [])]
  return {
    ...run,
    days: unionOfDays([...run.days, ...beneath.flatMap(({ days }) => days)]),
    companies: cells(
      run.companies,
      beneath.map(({ companies }) => companies),
    ),
    warehouses: cells(
      run.warehouses,
      beneath.map(({ warehouses }) => warehouses),
    ),
  }
}
