import type { Expression } from '@aduana/contracts/metrics/expression'
import { conditionsIn, expressionsIn, type Placed, whereOf } from './walk.ts'

/** A code in an expression, and its path, such as `expression.of[1].by`. */
export interface Reference {
  code: string
  path: string
}

/** The series and metrics in an expression. */
export interface References {
  /** Series that are aggregated, compared by conditions, or used to order rows. */
  series: Reference[]
  metrics: Reference[]
}

/** Returns all series and metrics of an expression in reading order, including repetitions. */
export function referencesOf(expression: Expression): References {
  const nodes = expressionsIn(expression)
  return {
    series: nodes.flatMap(seriesOf),
    metrics: nodes.flatMap(({ node, path }) =>
      node.type === 'metric' ? [{ code: node.metric, path: `${path}.metric` }] : [],
    ),
  }
}

function seriesOf({ node, path }: Placed<Expression>): Reference[] {
  const own = node.type === 'aggregate' ? [{ code: node.series, path: `${path}.series` }] : []
  const by = node.type === 'aggregate' && node.by !== undefined ? [{ code: node.by, path: `${path}.by` }] : []
  const where = whereOf(node, path)
    .flatMap(conditionsIn)
    .flatMap((condition) =>
      'series' in condition.node ? [{ code: condition.node.series, path: `${condition.path}.series` }] : [],
    )
  return [...own, ...where, ...by]
}
