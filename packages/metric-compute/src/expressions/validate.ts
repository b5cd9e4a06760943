import { counted } from '@aduana/contracts/figures'
import { readInput, structureProblems } from '@aduana/contracts/input-problems'
import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import {
  type Expression,
  type ExpressionProblem,
  MAX_DEPTH,
  MAX_NODES,
} from '@aduana/contracts/metrics/expression'
import { nearestNames } from '@aduana/contracts/nearest-names'
import { nestingOf } from '@aduana/contracts/structure'
import type { SeriesPlaces } from '../series-place.ts'
import { type Reference, referencesOf } from './references.ts'
import { inputProblems } from './validate-inputs.ts'
import { childrenOf, conditionsIn, expressionsIn, type Placed, whereOf } from './walk.ts'

/** What a definition may refer to: every series, and every metric in its current version. */
export interface Known {
  series: SeriesPlaces
  metrics: ReadonlyMap<string, MetricDefinition>
}

/** Parses a definition. Returns it, or all problems of its structure. */
export function parseDefinition(
  input: unknown,
): { definition: MetricDefinition } | { problems: ExpressionProblem[] } {
  if (nestingOf(input, MAX_RAW_DEPTH) > MAX_RAW_DEPTH)
    return { problems: [tooDeep('expression', 'The definition is nested too deeply')] }
  const read = readInput(MetricDefinition, input)
  return read.problems ? { problems: structureProblems(read.problems) } : { definition: read.data }
}

/** Returns all problems of a well-formed definition. It can be computed when there are none. */
export function validateExpression(definition: MetricDefinition, known: Known): ExpressionProblem[] {
  const bounds = boundProblems(definition.expression)
  if (bounds.length > 0) return bounds
  const references = referencesOf(definition.expression)
  return [
    ...inputProblems(definition.expression, known.series),
    ...windowProblems(definition.expression),
    ...references.metrics.flatMap((reference) => metricProblems(definition, reference, known)),
    ...grainProblems(definition, references.series, known.series),
  ]
}

/** Maximum depth of the JSON that is checked. Deeper input would exhaust the stack in zod. */
const MAX_RAW_DEPTH = 500

function tooDeep(path: string, message: string): ExpressionProblem {
  return {
    path,
    code: 'too_deep',
    message: `${message}; at most ${MAX_DEPTH} levels are possible. Move a part into another metric.`,
  }
}

function boundProblems(expression: Expression): ExpressionProblem[] {
  const nodes = expressionsIn(expression)
  const conditions = nodes.flatMap(({ node, path }) => whereOf(node, path)).flatMap(conditionsIn)
  const count = nodes.length + conditions.length
  const deepest = deepestOf({ node: expression, path: 'expression' })
  return [
    ...(count > MAX_NODES
      ? [
          {
            path: 'expression',
            code: 'too_large' as const,
            message: `The expression has ${count} nodes; at most ${MAX_NODES} are possible. Move a part into another metric.`,
          },
        ]
      : []),
    ...(deepest.depth > MAX_DEPTH
      ? [tooDeep(deepest.path, `The expression is ${deepest.depth} levels deep`)]
      : []),
  ]
}

function deepestOf({ node, path }: Placed<Expression>): { depth: number; path: string } {
  const inner = [
    ...childrenOf(node, path).map(deepestOf),
    ...whereOf(node, path)
      .flatMap(conditionsIn)
      .map((condition) => ({
        depth: condition.path.slice(path.length).split('.of').length,
        path: condition.path,
      })),
  ]
  return inner.reduce(
    (deepest, { depth, path: at }) => (depth >= deepest.depth ? { depth: depth + 1, path: at } : deepest),
    { depth: 1, path },
  )
}

function windowProblems(expression: Expression): ExpressionProblem[] {
  const windows = expressionsIn(expression).filter(
    ({ node, path }) =>
      path === 'expression' || ['rolling', 'cumulative', 'growth', 'filter'].includes(node.type),
  )
  return [
    ...windows
      .filter(({ node }) => !hasInput(node))
      .map(
        ({ path }): ExpressionProblem => ({
          path,
          code: 'no_input',
          message: 'The expression contains only constants. Use a series or a metric.',
        }),
      ),
    ...windows.flatMap(({ node, path }): ExpressionProblem[] =>
      node.type === 'rolling' && node.minDays > node.days
        ? [
            {
              path: `${path}.minDays`,
              code: 'more_days_than_window',
              message: `minDays is ${node.minDays}, but the window has only ${counted(node.days, 'day')}.`,
            },
          ]
        : [],
    ),
  ]
}

function hasInput(node: Expression): boolean {
  return expressionsIn(node).some(({ node: inner }) => inner.type === 'aggregate' || inner.type === 'metric')
}

function metricProblems(
  definition: MetricDefinition,
  { code, path }: Reference,
  known: Known,
): ExpressionProblem[] {
  const other = code === definition.code ? definition : known.metrics.get(code)
  if (!other)
    return [
      {
        path,
        code: 'unknown_metric',
        message: `There is no metric "${code}".${nearestNames(code, known.metrics.keys())}`,
      },
    ]
  const cycle = pathTo(definition.code, code, known.metrics)
  if (cycle)
    return [
      {
        path,
        code: 'cycle',
        message: `The metric depends on itself: ${[definition.code, ...cycle].join(' → ')}.`,
      },
    ]
  if (other.grain === definition.grain) return []
  return [
    {
      path,
      code: 'grain_differs',
      message: `The grain of "${code}" is ${other.grain}, but the grain of this metric is ${definition.grain}. Both must be equal.`,
    },
  ]
}

/** Returns the chain of metrics from one to another by what each needs; undefined when there is none. */
function pathTo(goal: string, from: string, metrics: Known['metrics']): string[] | undefined {
  const seen = new Set<string>([from])
  const ways = [[from]]
  for (let way = ways.shift(); way; way = ways.shift()) {
    const last = way.at(-1) ?? from
    if (last === goal) return way
    const definition = metrics.get(last)
    const next = definition ? referencesOf(definition.expression).metrics.map(({ code }) => code) : []
    for (const code of next) {
      if (seen.has(code)) continue
      seen.add(code)
      ways.push([...way, code])
    }
  }
  return undefined
}

function grainProblems(
  { grain, expression }: MetricDefinition,
  references: readonly Reference[],
  places: SeriesPlaces,
): ExpressionProblem[] {
  if (grain === 'total') return []
  const aggregated = new Set(
    expressionsIn(expression).flatMap(({ node, path }) =>
      node.type === 'aggregate' ? [`${path}.series`] : [],
    ),
  )
  return references.flatMap(({ code, path }): ExpressionProblem[] => {
    const definition = places.get(code)?.definition
    if (!definition || !aggregated.has(path)) return []
    const name = grain === 'company' ? definition.scope?.company : definition.scope?.warehouse
    const column = definition.columns.find((each) => each.name === name)
    // Users are granted codes, not the surrogate ids of a dimension.
    if (column && !(column.type === 'text' && column.dimension)) return []
    return [
      {
        path,
        code: 'grain_impossible',
        message: `Dataset "${definition.code}" has no ${grain} column, so the grain of the metric cannot be ${grain}.`,
      },
    ]
  })
}
