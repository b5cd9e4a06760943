import { firstProblemText } from '@aduana/contracts/input-problems'
import type { MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { ExpressionProblem } from '@aduana/contracts/metrics/expression'
import { ProblemError } from '@aduana/contracts/problems'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import { parseDefinition, validateExpression } from '@aduana/metric-compute/expressions/validate'
import type { SeriesPlaces } from '@aduana/metric-compute/series-place'
import { resolveNeeds } from './graph.ts'

/** A problem of a metric, with the path of its node. */
export interface MetricProblem extends ExpressionProblem {
  metric: string
}

/** Parses a definition. @throws ProblemError `invalid_metric` with all problems of its structure */
export function readDefinition(input: unknown): MetricDefinition {
  const parsed = parseDefinition(input)
  if ('definition' in parsed) return parsed.definition
  const code =
    typeof input === 'object' && input !== null && 'code' in input ? String(input.code) : 'the metric'
  throw invalid(parsed.problems.map((problem) => ({ metric: code, ...problem })))
}

/**
 * Checks changed definitions, and those that use them, against the definitions that would then be active.
 * @throws ProblemError `invalid_metric` with `problems`, each with the metric, path, code and message
 */
export function checkDefinitions(
  changed: readonly MetricDefinition[],
  active: ReadonlyMap<string, MetricDefinition>,
  places: SeriesPlaces,
): void {
  const codes = new Set(changed.map(({ code }) => code))
  const dependents = [...active.values()].filter(
    (definition) =>
      !codes.has(definition.code) &&
      referencesOf(definition.expression).metrics.some(({ code }) => codes.has(code)),
  )
  const known = { series: places, metrics: active }
  const problems = [...changed, ...dependents].flatMap((definition) =>
    validateExpression(definition, known).map((problem) => ({ metric: definition.code, ...problem })),
  )
  if (problems.length > 0) throw invalid(problems)
  const unknown = unknownDatasetDays(changed, active, places)
  if (unknown.length > 0) throw invalid(unknown)
}

/**
 * Returns the problems of `requiredDaysOf` for datasets that a metric does not depend on. There must be no cycles.
 */
function unknownDatasetDays(
  changed: readonly MetricDefinition[],
  active: ReadonlyMap<string, MetricDefinition>,
  places: SeriesPlaces,
): MetricProblem[] {
  const needs = resolveNeeds(active, places)
  return changed.flatMap(({ code, requiredDaysOf }) => {
    const datasets = needs.get(code)?.datasets ?? new Map()
    return Object.keys(requiredDaysOf)
      .filter((dataset) => !datasets.has(dataset))
      .map(
        (dataset): MetricProblem => ({
          metric: code,
          path: `requiredDaysOf.${dataset}`,
          code: 'invalid',
          message: `The metric does not depend on dataset "${dataset}". It depends on ${[...datasets.keys()].join(', ')}.`,
        }),
      )
  })
}

function invalid(problems: readonly MetricProblem[]): ProblemError {
  const placed = problems.map(({ metric, path, message }) => ({ place: `${metric}, ${path}`, message }))
  return new ProblemError('invalid_metric', firstProblemText(placed, 'The definition'), { problems })
}
