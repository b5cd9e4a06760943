import type { MetricDefinition, MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { OPEN_RUNS } from '@aduana/contracts/metrics/runs'
import { ProblemError } from '@aduana/contracts/problems'
import { requireVersion } from '@aduana/contracts/versions'
import { audit } from '@aduana/db/audit'
import type { Database, Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { sql } from 'kysely'
import { endRuns } from '../runs/end.ts'
import { logEvents } from '../runs/event-log.ts'
import { lockGraphExclusive, lockRuns, lockWithDependents } from '../runs/locks.ts'
import { checkDefinitions, readDefinition } from './check.ts'
import {
  activeDefinitions,
  dependentsOf,
  type MetricGraph,
  type Needs,
  type RegisteredMetric,
  readGraph,
  resolveNeeds,
} from './graph.ts'
import { recompute } from './recompute.ts'
import { shaOf, writeDependencies, writeVersion } from './write.ts'

/** A saved metric. */
export interface SavedMetric {
  code: string
  version: number
  /** False when the definition was already current. */
  changed: boolean
}

/**
 * Saves metrics together, each as its next version if it differs from the current one. They may use each other in any
 * order. A retired metric becomes active again. Dependents are revalidated. Metrics whose computation changes are
 * recomputed for all days on which their datasets have rows, followed by their dependents.
 * @throws ProblemError `invalid_metric` with `problems`, each with the metric, path, code and message
 */
export async function saveMetrics(
  tx: Tx,
  inputs: readonly unknown[],
  by: string | null,
): Promise<SavedMetric[]> {
  await lockGraphExclusive(tx)
  return saveDefinitions(tx, await readGraph(tx), inputs.map(readDefinition), by)
}

/**
 * Saves one metric. See `saveMetrics`. With `expectedVersion`, only if that is its current version; a definition that
 * is already current succeeds regardless.
 * @throws ProblemError `invalid_metric` with `problems`; `version_changed`
 */
export async function saveMetric(
  tx: Tx,
  input: unknown,
  by: string | null,
  expectedVersion?: number,
): Promise<SavedMetric> {
  await lockGraphExclusive(tx)
  const graph = await readGraph(tx)
  const definition = readDefinition(input)
  if (differs(graph, definition))
    requireVersion('metric', expectedVersion, graph.metrics.get(definition.code)?.version)
  const [saved] = await saveDefinitions(tx, graph, [definition], by)
  if (!saved) throw new Error('the saved metric is missing')
  return saved
}

/** Registers shipped metrics. A metric that a user has changed or retired is not touched. */
export async function registerMetrics(tx: Tx, shipped: readonly MetricDefinitionInput[]): Promise<void> {
  await lockGraphExclusive(tx)
  const due = await dueForRegistration(tx, shipped.map(readDefinition))
  // Each worker registers them when it starts. Nearly always nothing is due, and the graph need not be read.
  if (due.length > 0) await saveDefinitions(tx, await readGraph(tx), due, null)
}

/** Returns the shipped metrics that are new, or that differ from their shipped version in the database. */
async function dueForRegistration(
  tx: Tx,
  definitions: readonly MetricDefinition[],
): Promise<MetricDefinition[]> {
  const rows = await tx
    .selectFrom('metrics')
    .innerJoin('metric_versions', (join) =>
      join
        .onRef('metric_versions.metric_id', '=', 'metrics.id')
        .onRef('metric_versions.version', '=', 'metrics.current_version'),
    )
    .select(['metrics.code', 'metrics.retired_at', 'metric_versions.definition_sha256 as sha256'])
    .select('metric_versions.created_by as createdBy')
    .where(
      'metrics.code',
      'in',
      definitions.map(({ code }) => code),
    )
    .execute()
  const known = new Map(rows.map((row) => [row.code, row]))
  return definitions.filter((definition) => {
    const current = known.get(definition.code)
    if (current === undefined) return true
    const isShipped = current.createdBy === null && current.retired_at === null
    return isShipped && current.sha256 !== shaOf(definition)
  })
}

async function saveDefinitions(
  tx: Tx,
  graph: MetricGraph,
  definitions: readonly MetricDefinition[],
  by: string | null,
): Promise<SavedMetric[]> {
  const changed = definitions.filter((definition) => differs(graph, definition))
  const active = activeDefinitions(graph)
  for (const definition of changed) active.set(definition.code, definition)
  checkDefinitions(changed, active, graph.places)
  const written: RegisteredMetric[] = []
  const recomputed: RegisteredMetric[] = []
  for (const definition of changed) {
    const before = graph.metrics.get(definition.code)
    const metric = await writeVersion(tx, definition, before, by)
    graph.metrics.set(metric.code, metric)
    written.push(metric)
    if (!before || before.retired || computation(before.definition) !== computation(definition))
      recomputed.push(metric)
  }
  const needs = resolveNeeds(active, graph.places)
  await recordSaved(tx, graph, written, needs, by)
  await recompute(tx, { metrics: recomputed, places: graph.places, needs })
  return definitions.map(({ code }) => ({
    code,
    version: graph.metrics.get(code)?.version ?? 0,
    changed: written.some((metric) => metric.code === code),
  }))
}

/** Returns whether saving a definition would change anything. */
function differs(graph: MetricGraph, definition: MetricDefinition): boolean {
  const known = graph.metrics.get(definition.code)
  return !known || known.retired || known.sha256 !== shaOf(definition)
}

/** Returns the parts of a definition that determine its values. */
function computation({ expression, grain }: MetricDefinition): string {
  return JSON.stringify([expression, grain])
}

/** Records saved metrics: their dependencies and those of their dependents, the log, and the audit trail. */
async function recordSaved(
  tx: Tx,
  graph: MetricGraph,
  written: readonly RegisteredMetric[],
  needs: ReadonlyMap<string, Needs>,
  by: string | null,
): Promise<void> {
  if (written.length === 0) return
  const dependents = dependentsOf(
    needs,
    written.map(({ code }) => code),
  )
  const touched = [...written, ...[...dependents].flatMap((code) => graph.metrics.get(code) ?? [])]
  await writeDependencies(tx, touched, needs, (code) => graph.metrics.get(code)?.id)
  await logEvents(
    tx,
    written.map(({ id, code, version }) => ({
      key: `${id}:saved:${version}`,
      event: { type: 'metric.saved', metric: code, version },
    })),
  )
  for (const { code, version } of written)
    await audit(tx, {
      actor: by,
      action: 'metric.save',
      subjectType: 'metric',
      subjectId: code,
      details: { version },
    })
}

/**
 * Retires a metric: it is no longer computed, its open runs are cancelled, and its values stay.
 * @throws ProblemError `unknown_metric`; `metric_in_use` with the `metrics` that use it
 */
export async function retireMetric(tx: Tx, code: string, by: string | null): Promise<void> {
  await lockGraphExclusive(tx)
  const graph = await readGraph(tx)
  const metric = graph.metrics.get(code)
  if (!metric || metric.retired) throw new ProblemError('unknown_metric', `There is no metric "${code}".`)
  const needs = resolveNeeds(activeDefinitions(graph), graph.places)
  const dependents = [...needs].filter(([, { metrics }]) => metrics.has(code)).map(([name]) => name)
  if (dependents.length > 0)
    throw new ProblemError(
      'metric_in_use',
      `The metric "${code}" is used by ${dependents.join(', ')}. Change or retire these metrics first.`,
      {
        metrics: dependents,
      },
    )
  const locked = await lockWithDependents(tx, [metric.id])
  await lockRuns(tx, [], locked)
  await tx
    .updateTable('metrics')
    .set({ retired_at: sql<Date>`now()`, updated_at: sql<Date>`now()` })
    .where('id', '=', metric.id)
    .execute()
  await tx.deleteFrom('metric_dependencies').where('metric_id', '=', metric.id).execute()
  const open = await sql<{ id: string; attempt: number }>`select id, attempt from metric_runs
    where metric_id = ${metric.id} and status in (${literals(OPEN_RUNS)})`.execute(tx)
  await endRuns(
    tx,
    open.rows.map(({ id, attempt }) => ({ id, attempt, to: 'CANCELLED', by })),
    locked,
  )
  await logEvents(tx, [
    { key: `${metric.id}:retired:${metric.version}`, event: { type: 'metric.retired', metric: code } },
  ])
  await audit(tx, { actor: by, action: 'metric.retire', subjectType: 'metric', subjectId: code })
}

/** Returns the active metrics, by code. */
export async function listMetrics(db: Database | Tx): Promise<RegisteredMetric[]> {
  return [...(await readGraph(db)).metrics.values()].filter(({ retired }) => !retired)
}

/** Returns an active metric in its current version. @throws ProblemError `unknown_metric` */
export async function readMetric(db: Database | Tx, code: string): Promise<RegisteredMetric> {
  const metric = (await listMetrics(db)).find((candidate) => candidate.code === code)
  if (!metric) throw new ProblemError('unknown_metric', `There is no metric "${code}".`)
  return metric
}
