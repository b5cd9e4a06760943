import type { Expression, RowCondition } from '@aduana/contracts/metrics/expression'

/** A node and its path within the expression. */
export interface Placed<T> {
  node: T
  path: string
}

/** Returns the direct children of an expression, in reading order. */
export function childrenOf(node: Expression, path: string): Placed<Expression>[] {
  const at = (name: string, child: Expression | undefined): Placed<Expression>[] =>
    child === undefined ? [] : [{ node: child, path: `${path}.${name}` }]
  switch (node.type) {
    case 'aggregate':
    case 'metric':
    case 'constant':
      return []
    case 'arithmetic':
      return node.of.map((child, index) => ({ node: child, path: `${path}.of[${index}]` }))
    case 'ratio':
      return [...at('of', node.of), ...at('by', node.by)]
    case 'rolling':
    case 'cumulative':
    case 'growth':
    case 'filter':
      return at('of', node.of)
    case 'conditional':
      return [
        ...at('when.left', node.when.left),
        ...at('when.right', node.when.right),
        ...at('value', node.value),
        ...at('otherwise', node.otherwise),
      ]
    case 'fallback':
      return [...at('of', node.of), ...at('otherwise', node.otherwise)]
  }
}

/** Returns the row condition of a node, if it has one. */
export function whereOf(node: Expression, path: string): Placed<RowCondition>[] {
  const where = node.type === 'aggregate' || node.type === 'filter' ? node.where : undefined
  return where === undefined ? [] : [{ node: where, path: `${path}.where` }]
}

/** Returns a condition and all conditions within it. */
export function conditionsIn({ node, path }: Placed<RowCondition>): Placed<RowCondition>[] {
  if (node.op === 'not') return [{ node, path }, ...conditionsIn({ node: node.of, path: `${path}.of` })]
  if (node.op !== 'all' && node.op !== 'any') return [{ node, path }]
  const inner = node.of.flatMap((child, index) => conditionsIn({ node: child, path: `${path}.of[${index}]` }))
  return [{ node, path }, ...inner]
}

/** Returns an expression and all expressions within it. */
export function expressionsIn(node: Expression, path = 'expression'): Placed<Expression>[] {
  return [{ node, path }, ...childrenOf(node, path).flatMap((child) => expressionsIn(child.node, child.path))]
}
