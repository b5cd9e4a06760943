import type { MetricDefinition, MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import type { Database, Tx } from '@aduana/db/database'
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
import { requireVersion, shaOf, writeDependencies, writeVersion } from './write.ts'

/** A metric after it was saved. */
export interface SavedMetric {
  code: string
  version: number
  /** False when it was so already. */
  changed: boolean
}

/**
 * Save metrics together, each as its next version if it differs from the present one; they may need each other in any
 * order. A retired one is in use again. Those above them are checked anew. What is computed in another way than before is
 * computed anew for all days of which its datasets have rows, and then what needs it.
 * @throws ProblemError `invalid_metric` with `problems`, each with the metric, the path of the node, a code and a message
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
 * Save one metric. See `saveMetrics`. `seen` is the version that it must have; what is so already was changed by whoever
 * says it again.
 * @throws ProblemError `invalid_metric` with `problems`; `version_changed`
 */
export async function saveMetric(
  tx: Tx,
  input: unknown,
  by: string | null,
  seen?: number,
): Promise<SavedMetric> {
  await lockGraphExclusive(tx)
  const graph = await readGraph(tx)
  const definition = readDefinition(input)
  if (differs(graph, definition)) requireVersion('metric', seen, graph.metrics.get(definition.code)?.version)
  const [saved] = await saveDefinitions(tx, graph, [definition], by)
  if (!saved) throw new Error('a metric was saved without an answer')
  return saved
}

/**
 * Register the metrics that come with the program. What somebody has changed or retired since stays as it is.
 */
export async function registerMetrics(
  tx: Tx,
  shipped: readonly MetricDefinitionInput[],
): Promise<SavedMetric[]> {
  await lockGraphExclusive(tx)
  const graph = await readGraph(tx)
  const ours = shipped.map(readDefinition).filter(({ code }) => {
    const known = graph.metrics.get(code)
    return known === undefined || (known.createdBy === null && !known.retired)
  })
  return saveDefinitions(tx, graph, ours, null)
}

async function saveDefinitions(
  tx: Tx,
  graph: MetricGraph,
  definitions: readonly MetricDefinition[],
  by: string | null,
): Promise<SavedMetric[]> {
  const changed = definitions.filter((definition) => differs(graph, definition))
  const world = activeDefinitions(graph)
  for (const definition of changed) world.set(definition.code, definition)
  checkDefinitions(changed, world, graph.places)
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
  const needs = resolveNeeds(world, graph.places)
  await recordSaved(tx, graph, written, needs, by)
  await recompute(tx, { metrics: recomputed, places: graph.places, needs })
  return definitions.map(({ code }) => ({
    code,
    version: graph.metrics.get(code)?.version ?? 0,
    changed: written.some((metric) => metric.code === code),
  }))
}

/** Whether saving a definition would change anything. */
function differs(graph: MetricGraph, definition: MetricDefinition): boolean {
  const known = graph.metrics.get(definition.code)
  return !known || known.retired || known.sha256 !== shaOf(definition)
}

/** What of a definition decides its values. */
function computation({ expression, grain }: MetricDefinition): string {
  return JSON.stringify([expression, grain])
}

/** What follows from changed metrics: what they and those above them need, and the log. */
async function recordSaved(
  tx: Tx,
  graph: MetricGraph,
  written: readonly RegisteredMetric[],
  needs: ReadonlyMap<string, Needs>,
  by: string | null,
): Promise<void> {
  if (written.length === 0) return
  const above = dependentsOf(
    needs,
    written.map(({ code }) => code),
  )
  const touched = [...written, ...[...above].flatMap((code) => graph.metrics.get(code) ?? [])]
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
 * Retire a metric: it is no longer computed, its open runs are cancelled, its values stay.
 * @throws ProblemError `unknown_metric`; `metric_in_use` with the `metrics` that need it
 */
export async function retireMetric(tx: Tx, code: string, by: string | null): Promise<void> {
  await lockGraphExclusive(tx)
  const graph = await readGraph(tx)
  const metric = graph.metrics.get(code)
  if (!metric || metric.retired) throw new ProblemError('unknown_metric', `There is no metric "${code}".`)
  const needs = resolveNeeds(activeDefinitions(graph), graph.places)
  const above = [...needs].filter(([, { metrics }]) => metrics.has(code)).map(([name]) => name)
  if (above.length > 0)
    throw new ProblemError('metric_in_use', `"${code}" is needed by ${above.join(', ')}.`, { metrics: above })
  const locked = await lockWithDependents(tx, [metric.id])
  await lockRuns(tx, [], locked)
  await tx
    .updateTable('metrics')
    .set({ retired_at: sql<Date>`now()`, updated_at: sql<Date>`now()` })
    .where('id', '=', metric.id)
    .execute()
  await tx.deleteFrom('metric_dependencies').where('metric_id', '=', metric.id).execute()
  const open = await sql<{ id: string; attempt: number }>`select id, attempt from metric_runs
    where metric_id = ${metric.id} and status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT')`.execute(tx)
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

/** The metrics that are in use, by code. */
export async function listMetrics(db: Database | Tx): Promise<RegisteredMetric[]> {
  return [...(await readGraph(db)).metrics.values()].filter(({ retired }) => !retired)
}

/** A metric in use, in its current version. @throws ProblemError `unknown_metric` */
export async function readMetric(db: Database | Tx, code: string): Promise<RegisteredMetric> {
  const metric = (await listMetrics(db)).find((candidate) => candidate.code === code)
  if (!metric) throw new ProblemError('unknown_metric', `There is no metric "${code}".`)
  return metric
}
