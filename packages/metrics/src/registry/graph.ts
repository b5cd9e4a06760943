import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { Database, Tx } from '@aduana/db/database'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import type { SeriesPlaces } from '@aduana/metric-compute/series-place'
import { readSeriesPlaces } from './series-places.ts'

/** A metric in its current version. */
export interface RegisteredMetric {
  id: string
  code: string
  version: number
  sha256: string
  definition: MetricDefinition
  /** The author of this version; null for shipped metrics. */
  createdBy: string | null
  retired: boolean
}

/** All metrics, and the places of all series. */
export interface MetricGraph {
  metrics: Map<string, RegisteredMetric>
  places: SeriesPlaces
}

/** Reads all metrics, including retired ones, and where every series is stored. */
export async function readGraph(db: Database | Tx): Promise<MetricGraph> {
  const rows = await db
    .selectFrom('metrics')
    .innerJoin('metric_versions', (join) =>
      join
        .onRef('metric_versions.metric_id', '=', 'metrics.id')
        .onRef('metric_versions.version', '=', 'metrics.current_version'),
    )
    .select(['metrics.id', 'metrics.code', 'metrics.retired_at', 'metric_versions.version'])
    .select(['metric_versions.definition', 'metric_versions.definition_sha256', 'metric_versions.created_by'])
    .orderBy('metrics.code')
    .execute()
  const metrics = rows.map((row): [string, RegisteredMetric] => [
    row.code,
    {
      id: row.id,
      code: row.code,
      version: row.version,
      sha256: row.definition_sha256,
      definition: MetricDefinition.parse(row.definition),
      createdBy: row.created_by,
      retired: row.retired_at !== null,
    },
  ])
  return { metrics: new Map(metrics), places: await readSeriesPlaces(db) }
}

/** Returns the definitions of active metrics, by code. */
export function activeDefinitions({ metrics }: MetricGraph): Map<string, MetricDefinition> {
  return new Map(
    [...metrics.values()].filter(({ retired }) => !retired).map(({ code, definition }) => [code, definition]),
  )
}

/** What a metric needs. */
export interface Needs {
  /** Codes of the series that it uses directly. */
  series: Set<string>
  /** Codes of the metrics that it uses directly. */
  metrics: Set<string>
  /** Datasets that it depends on, directly or through other metrics: ids by code. */
  datasets: Map<string, string>
  /** The length of the longest chain of its input metrics. */
  level: number
}

/** Returns what each metric needs, by code. The metrics have no cycles, which validation ensures. */
export function resolveNeeds(
  definitions: ReadonlyMap<string, MetricDefinition>,
  places: SeriesPlaces,
): Map<string, Needs> {
  const all = new Map<string, Needs>()
  const visit = (code: string): Needs => {
    const known = all.get(code)
    if (known) return known
    const needs: Needs = { series: new Set(), metrics: new Set(), datasets: new Map(), level: 0 }
    all.set(code, needs)
    const definition = definitions.get(code)
    const references = definition ? referencesOf(definition.expression) : { series: [], metrics: [] }
    for (const { code: series } of references.series) {
      const place = places.get(series)
      needs.series.add(series)
      if (place) needs.datasets.set(place.definition.code, place.datasetId)
    }
    for (const { code: other } of references.metrics) {
      const input = visit(other)
      needs.metrics.add(other)
      for (const [dataset, id] of input.datasets) needs.datasets.set(dataset, id)
      needs.level = Math.max(needs.level, input.level + 1)
    }
    return needs
  }
  for (const code of definitions.keys()) visit(code)
  return all
}

/** Returns the metrics that depend on these, directly or through others, without these themselves. */
export function dependentsOf(needs: ReadonlyMap<string, Needs>, codes: Iterable<string>): Set<string> {
  const start = new Set(codes)
  const reached = new Set(start)
  const inOrder = [...needs].sort(([, a], [, b]) => a.level - b.level)
  for (const [code, { metrics }] of inOrder)
    if ([...metrics].some((other) => reached.has(other))) reached.add(code)
  for (const code of start) reached.delete(code)
  return reached
}
