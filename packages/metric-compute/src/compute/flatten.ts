import type { Expression, RowCondition } from '@aduana/contracts/metrics/expression'

/**
 * Returns an equivalent expression without `filter` and without row averages. Filters move into the aggregates, and
 * an average becomes a sum divided by a count, so that other expressions can share both.
 */
export function flatten(node: Expression, outer: readonly RowCondition[] = []): Expression {
  switch (node.type) {
    case 'aggregate':
      return flattenAggregate(node, outer)
    case 'metric':
    case 'constant':
      return node
    case 'arithmetic':
      return { ...node, of: node.of.map((child) => flatten(child, outer)) }
    case 'ratio':
      return { ...node, of: flatten(node.of, outer), by: flatten(node.by, outer) }
    case 'rolling':
    case 'cumulative':
    case 'growth':
      return { ...node, of: flatten(node.of, outer) }
    case 'filter':
      return flatten(node.of, [...outer, node.where])
    case 'fallback':
      return { ...node, of: flatten(node.of, outer), otherwise: flatten(node.otherwise, outer) }
    case 'conditional': {
      const { op, left, right } = node.when
      return {
        ...node,
        when: { op, left: flatten(left, outer), right: flatten(right, outer) },
        value: flatten(node.value, outer),
        otherwise: node.otherwise && flatten(node.otherwise, outer),
      }
    }
  }
}

function flattenAggregate(
  node: Extract<Expression, { type: 'aggregate' }>,
  outer: readonly RowCondition[],
): Expression {
  const all = [...outer, ...(node.where ? [node.where] : [])]
  const [first, ...more] = all
  const where: RowCondition | undefined = more.length === 0 ? first : { op: 'all', of: all }
  if (node.op !== 'avg') return { ...node, where }
  const part = (op: 'sum' | 'count'): Expression => ({ type: 'aggregate', op, series: node.series, where })
  return { type: 'ratio', of: part('sum'), by: part('count'), onZero: 'missing', times: 1 }
}
