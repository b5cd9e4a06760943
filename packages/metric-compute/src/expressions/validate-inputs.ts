import type { Expression, ExpressionProblem, RowCondition } from '@aduana/contracts/metrics/expression'
import { nearestNames } from '@aduana/contracts/nearest-names'
import type { SeriesPlace, SeriesPlaces } from '../series-place.ts'
import { comparisonClash } from './constants.ts'
import { columnOf, kindOf, type SeriesKind } from './series-kind.ts'
import { childrenOf, conditionsIn, type Placed, whereOf } from './walk.ts'

type Aggregate = Extract<Expression, { type: 'aggregate' }>

/** A condition of a `filter` that applies to the aggregates within it. */
interface Outer {
  dataset: string
  path: string
}

/**
 * Returns the problems of aggregates and row conditions: series that do not exist or have the wrong type, and
 * conditions on another dataset than the one that they restrict.
 */
export function inputProblems(expression: Expression, places: SeriesPlaces): ExpressionProblem[] {
  return nodeProblems({ node: expression, path: 'expression' }, places, [])
}

function nodeProblems(
  placed: Placed<Expression>,
  places: SeriesPlaces,
  outer: readonly Outer[],
): ExpressionProblem[] {
  const { node, path } = placed
  const wheres = whereOf(node, path).flatMap(conditionsIn)
  const own = [
    ...wheres.flatMap((condition) => conditionProblems(condition, places)),
    ...(node.type === 'aggregate' ? aggregateProblems(node, path, places, outer) : []),
    ...(node.type === 'metric' && outer.length > 0 ? [filterOfMetric(path, outer)] : []),
  ]
  const inner = node.type === 'filter' ? [...outer, ...outersOf(wheres, places)] : outer
  return [...own, ...childrenOf(node, path).flatMap((child) => nodeProblems(child, places, inner))]
}

function outersOf(wheres: readonly Placed<RowCondition>[], places: SeriesPlaces): Outer[] {
  return wheres.flatMap(({ node, path }) => {
    const dataset = 'series' in node ? places.get(node.series)?.definition.code : undefined
    return dataset === undefined ? [] : [{ dataset, path: `${path}.series` }]
  })
}

function filterOfMetric(path: string, outer: readonly Outer[]): ExpressionProblem {
  const where = outer.at(-1)?.path.replace(/\.where.*$/, '')
  return {
    path,
    code: 'filter_of_metric',
    message: `The filter at ${where} applies to rows, but a metric has values, not rows. Move the filter into the definition of the metric.`,
  }
}

/** Returns the place of a series, or the problem that it does not exist. */
function placeOf(code: string, path: string, places: SeriesPlaces): SeriesPlace | ExpressionProblem {
  const place = places.get(code)
  if (place) return place
  return {
    path,
    code: 'unknown_series',
    message: `There is no series "${code}".${nearestNames(code, places.keys())}`,
  }
}

function aggregateProblems(
  node: Aggregate,
  path: string,
  places: SeriesPlaces,
  outer: readonly Outer[],
): ExpressionProblem[] {
  const place = placeOf(node.series, `${path}.series`, places)
  const options = optionProblems(node, path)
  const by = node.by === undefined ? [] : byProblems(node.by, `${path}.by`, places)
  if (!('definition' in place)) return [place, ...options, ...by]
  const dataset = place.definition.code
  const inner = whereOf(node, path).flatMap(conditionsIn)
  const besides: Outer[] = [...outersOf(inner, places), ...outer]
  const byPlace = node.by === undefined ? undefined : places.get(node.by)
  if (byPlace) besides.push({ dataset: byPlace.definition.code, path: `${path}.by` })
  return [
    ...kindProblems(node, path, kindOf(place)),
    ...options,
    ...by,
    ...besides
      .filter((other) => other.dataset !== dataset)
      .map(
        (other): ExpressionProblem => ({
          path: other.path,
          code: 'other_dataset',
          message: `A series of dataset "${other.dataset}" cannot filter or order rows of dataset "${dataset}" (${path}).`,
        }),
      ),
    ...(place.definition.windowColumn === undefined
      ? [
          {
            path: `${path}.series`,
            code: 'no_days' as const,
            message: `Dataset "${dataset}" has no day column, so it has no values by day.`,
          },
        ]
      : []),
  ]
}

function kindProblems(node: Aggregate, path: string, kind: SeriesKind): ExpressionProblem[] {
  if (node.op === 'count') return []
  if (kind === 'row')
    return [
      {
        path: `${path}.op`,
        code: 'row_series',
        message: `"${node.series}" is the row itself, so "${node.op}" is not possible. Use "count", or a series of a column.`,
      },
    ]
  if (node.op === 'distinct' || kind === 'number') return []
  return [
    {
      path: `${path}.op`,
      code: 'type_clash',
      message: `"${node.op}" requires numbers, but "${node.series}" has ${plural(kind)}. Use "count" or "distinct".`,
    },
  ]
}

function optionProblems(node: Aggregate, path: string): ExpressionProblem[] {
  const problems: ExpressionProblem[] = []
  if (node.op === 'percentile' && node.percentile === undefined)
    problems.push({
      path: `${path}.percentile`,
      code: 'percentile_missing',
      message: 'Set the percentile, a number from 0 to 1.',
    })
  if (node.op !== 'percentile' && node.percentile !== undefined)
    problems.push({
      path: `${path}.percentile`,
      code: 'option_not_used',
      message: `"${node.op}" has no percentile. Remove "percentile".`,
    })
  if (node.op !== 'first' && node.op !== 'last' && node.by !== undefined)
    problems.push({
      path: `${path}.by`,
      code: 'option_not_used',
      message: `"${node.op}" does not depend on the order of rows. Remove "by"; only "first" and "last" use it.`,
    })
  return problems
}

function byProblems(code: string, path: string, places: SeriesPlaces): ExpressionProblem[] {
  const place = placeOf(code, path, places)
  if (!('definition' in place)) return [place]
  const kind = kindOf(place)
  if (kind === 'number' || kind === 'date' || kind === 'timestamp') return []
  return [
    {
      path,
      code: kind === 'row' ? 'row_series' : 'type_clash',
      message: `Rows are ordered by numbers, days or times, but "${code}" has ${plural(kind)}.`,
    },
  ]
}

function conditionProblems({ node, path }: Placed<RowCondition>, places: SeriesPlaces): ExpressionProblem[] {
  if (!('series' in node)) return []
  const place = placeOf(node.series, `${path}.series`, places)
  if (!('definition' in place)) return [place]
  const column = columnOf(place)
  if (!column)
    return [
      {
        path: `${path}.series`,
        code: 'row_series',
        message: `"${node.series}" is the row itself, but a condition requires a series of a column.`,
      },
    ]
  if (node.op === 'present') return []
  const values = node.op === 'in' ? node.values : [node.value]
  return values.flatMap((value, index): ExpressionProblem[] => {
    const clash = comparisonClash(column, node.op, value)
    const at = node.op === 'in' ? `${path}.values[${index}]` : `${path}.value`
    return clash === undefined
      ? []
      : [{ path: at, code: 'type_clash', message: `"${node.series}" ${clash}.` }]
  })
}

function plural(kind: SeriesKind): string {
  const names: Record<SeriesKind, string> = {
    number: 'numbers',
    text: 'texts',
    date: 'days',
    timestamp: 'times',
    boolean: 'true and false',
    row: 'rows',
  }
  return names[kind]
}
