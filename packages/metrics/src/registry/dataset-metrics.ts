import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { firstProblemText } from '@aduana/contracts/input-problems'
import type { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { ProblemError } from '@aduana/contracts/problems'
import { placementOf } from '@aduana/datasets/placement'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import { validateExpression } from '@aduana/metric-compute/expressions/validate'
import type { SeriesPlace, SeriesPlaces } from '@aduana/metric-compute/series-place'

/** What a change of a dataset would break. */
interface BrokenDependency {
  metric: string | null
  series: string | null
  path: string
  code: string
  message: string
}

/**
 * Returns where series are stored once a dataset has another definition; `lost` are those whose column is removed.
 */
export function withDefinition(
  places: SeriesPlaces,
  datasetId: string,
  definition: DatasetDefinition,
): { places: SeriesPlaces; lost: ReadonlyMap<string, SeriesPlace> } {
  const after = new Map(places)
  const lost = new Map<string, SeriesPlace>()
  for (const place of places.values()) {
    if (place.datasetId !== datasetId) continue
    if (hasColumn(definition, place.column)) after.set(place.code, { ...place, definition })
    else {
      after.delete(place.code)
      lost.set(place.code, place)
    }
  }
  return { places: after, lost }
}

/** Metrics read columns that loads fill, not columns that others write. */
function hasColumn(definition: DatasetDefinition, column: string | null): boolean {
  return column === null || definition.columns.some(({ name, managed }) => name === column && !managed)
}

/**
 * Rejects a change that removes the column of a series, or that invalidates a metric over series of the dataset.
 * @throws ProblemError `dataset_in_use` with `problems`, each with the metric or series, path, code and message
 */
export function assertMetricsRemainValid(
  active: ReadonlyMap<string, MetricDefinition>,
  places: SeriesPlaces,
  lost: ReadonlyMap<string, SeriesPlace>,
  dataset: DatasetDefinition,
): void {
  const problems = [
    ...[...lost.values()].map(({ code, column }) => ({
      ...{ metric: null, series: code, path: 'column', code: 'no_column' },
      message: `The series "${code}" uses the column "${column}", which the change would remove. Keep the column, or change the series first.`,
    })),
    ...[...active.values()].flatMap((metric) => brokenIn(metric, { active, places, lost, dataset })),
  ]
  if (problems.length === 0) return
  const placed = problems.map(({ metric, series, path, message }) => ({
    place: `${metric ?? series}, ${path}`,
    message,
  }))
  throw new ProblemError('dataset_in_use', firstProblemText(placed, 'The definition'), { problems })
}

interface Changed {
  active: ReadonlyMap<string, MetricDefinition>
  places: SeriesPlaces
  lost: ReadonlyMap<string, SeriesPlace>
  dataset: DatasetDefinition
}

function brokenIn(metric: MetricDefinition, { active, places, lost, dataset }: Changed): BrokenDependency[] {
  const { series } = referencesOf(metric.expression)
  const gone = series.filter(({ code }) => lost.has(code))
  const concerned = series.some(({ code }) => places.get(code)?.definition.code === dataset.code)
  const of = { metric: metric.code, series: null }
  if (gone.length > 0)
    return gone.map(({ code, path }) => ({
      ...{ ...of, path, code: 'no_column' },
      message: `The change would remove the column of the series "${code}", which the metric uses. Keep the column, or change the metric first.`,
    }))
  if (!concerned) return []
  return validateExpression(metric, { series: places, metrics: active }).map((problem) => ({
    ...of,
    ...problem,
  }))
}

/**
 * Returns the metrics over series of a dataset whose meaning a change affects: rows get another day, company or
 * warehouse, or a column is read differently.
 */
export function metricsWithNewMeaning(
  active: ReadonlyMap<string, MetricDefinition>,
  places: SeriesPlaces,
  before: DatasetDefinition,
  after: { id: string; definition: DatasetDefinition },
): string[] {
  const shifted = new Set(
    [...places.values()]
      .filter(({ datasetId }) => datasetId === after.id)
      .filter(({ column }) => meaningOf(before, column) !== meaningOf(after.definition, column))
      .map(({ code }) => code),
  )
  return [...active.values()]
    .filter(({ expression }) => referencesOf(expression).series.some(({ code }) => shifted.has(code)))
    .map(({ code }) => code)
}

/** Returns what determines the meaning of a series in a definition. */
function meaningOf(definition: DatasetDefinition, column: string | null): string {
  const found = definition.columns.find(({ name }) => name === column)
  const { table, key, idColumn } = (found?.type === 'text' ? found.dimension : undefined) ?? {}
  const zone = found?.type === 'timestamp' ? found.timeZone : null
  return JSON.stringify([placementOf(definition), found?.type, zone, table, key, idColumn])
}
