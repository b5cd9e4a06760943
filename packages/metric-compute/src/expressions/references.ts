import type { Expression } from '@aduana/contracts/metrics/expression'
import { conditionsIn, expressionsIn, type Placed, whereOf } from './walk.ts'

/** What is named, and where: `expression.of[1].by`. */
export interface Reference {
  code: string
  path: string
}

export interface References {
  /** Series that are aggregated, looked at by conditions, or order rows. */
  series: Reference[]
  metrics: Reference[]
}

/** Everything that an expression names, in reading order; what it names twice is there twice. */
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
