import type { Grain } from '@aduana/contracts/metrics/definition'
import type { Expression, OnZero } from '@aduana/contracts/metrics/expression'
import { childrenOf, expressionsIn } from '../expressions/walk.ts'
import { groupBy } from '../group-by.ts'
import { type Leaf, type LeafTable, type Leaves, leafKey } from './leaf.ts'
import { aggregateKey } from './plan.ts'
import { cellColumns, DECIMALS, numeric, quotient } from './sql-text.ts'

/** A column of a layer, computed from columns of lower layers. */
interface Column {
  name: string
  layer: number
  sql: string
  deps: readonly string[]
}

/** The expressions of several metrics of one grain as columns. Each distinct subexpression occurs once. */
export interface Graph {
  grain: Grain
  columns: Map<string, Column>
  /** The same columns, by name. */
  named: Map<string, Column>
  /** The tables that hold the leaves. */
  tables: Map<string, LeafTable>
  leaves: Leaves
}

/** Returns a graph without columns. */
export function emptyGraph(grain: Grain, leaves: Leaves): Graph {
  return { grain, leaves, columns: new Map(), named: new Map(), tables: new Map() }
}

/** The columns with an expression's value, and with whether that value is kept. */
export interface Compiled {
  value: string
  kept: string
}

/** Adds an expression to the graph. */
export function compile(graph: Graph, expression: Expression): Compiled {
  return { value: valueColumn(graph, expression), kept: supportColumn(graph, expression) }
}

/** Returns the name of the column with this SQL, which is created if needed. `deps` are the columns in the SQL. */
function column(graph: Graph, sql: string, deps: readonly string[]): string {
  const there = graph.columns.get(sql)
  if (there) return there.name
  const known = [...new Set(deps)]
  const layers = known.map((dep) => graph.named.get(dep)?.layer ?? 0)
  const made = {
    name: `v${graph.columns.size}`,
    layer: known.length === 0 ? 0 : 1 + Math.max(...layers),
    sql,
    deps: known,
  }
  graph.columns.set(sql, made)
  graph.named.set(made.name, made)
  return made.name
}

function tableAlias(graph: Graph, table: LeafTable): string {
  graph.tables.set(table.name, table)
  return aliasOf(table)
}

/** Returns the alias of a leaf table within a statement. */
export function aliasOf({ name }: LeafTable): string {
  return name.replace('pg_temp.', '')
}

function leafOf(graph: Graph, node: Extract<Expression, { type: 'aggregate' | 'metric' }>): Leaf {
  const key = leafKey(graph.grain, node.type === 'metric' ? node.metric : aggregateKey(node))
  const leaf = graph.leaves.get(key)
  if (!leaf) throw new Error(`no leaf was read for ${key}`)
  return leaf
}

function valueColumn(graph: Graph, node: Expression): string {
  const value = (child: Expression) => valueColumn(graph, child)
  switch (node.type) {
    case 'aggregate':
    case 'metric':
      return leafValue(graph, leafOf(graph, node))
    case 'constant':
      return column(graph, numeric(node.value), [])
    case 'arithmetic': {
      const parts = node.of.map(value)
      const [sign] = { add: ['+'], subtract: ['-'], multiply: ['*'] }[node.op]
      const sql = parts.join(` ${sign} `)
      return column(graph, node.op === 'multiply' ? `round(${sql}, ${DECIMALS})` : sql, parts)
    }
    case 'ratio': {
      const [of, by] = [value(node.of), value(node.by)]
      const divided = quotient(node.times === 1 ? of : `${numeric(node.times)} * ${of}`, by)
      return column(graph, divide(of, by, node.onZero, divided), [of, by])
    }
    case 'growth':
      return growth(graph, node, value(node.of))
    case 'rolling':
      return rolling(graph, node, value(node.of))
    case 'cumulative': {
      const of = value(node.of)
      const counted = `count(${of}) over (${frame(graph, node)})`
      const sql =
        node.op === 'count'
          ? `nullif(${counted}, 0)::numeric`
          : `${node.op}(${of}) over (${frame(graph, node)})`
      return column(graph, sql, [of])
    }
    case 'conditional': {
      const [left, right, then] = [value(node.when.left), value(node.when.right), value(node.value)]
      const otherwise = node.otherwise ? value(node.otherwise) : undefined
      const operator = node.when.op === '!=' ? '<>' : node.when.op
      const sql = `case when ${left} is null or ${right} is null then null when ${left} ${operator} ${right} then ${then} else ${otherwise ?? 'null'} end`
      return column(graph, sql, [left, right, then, ...(otherwise ? [otherwise] : [])])
    }
    case 'fallback': {
      const [of, otherwise] = [value(node.of), value(node.otherwise)]
      return column(graph, `coalesce(${of}, ${otherwise})`, [of, otherwise])
    }
    case 'filter':
      throw new Error('a filter has no value: flatten the expression first')
  }
}

function leafValue(graph: Graph, leaf: Leaf): string {
  const sql = `${tableAlias(graph, leaf.table)}.${leaf.column}`
  if (!leaf.zero || !leaf.presence) return column(graph, sql, [])
  const there = `${tableAlias(graph, leaf.presence)}.day is not null`
  return column(graph, `case when ${there} then coalesce(${sql}, 0::numeric) end`, [])
}

function divide(of: string, by: string, onZero: OnZero, divided: string): string {
  const zero = onZero === 'missing' ? 'null' : numeric(onZero === 'zero' ? 0 : onZero.value)
  return `case when ${of} is null then null when ${by} = 0 then ${zero} else ${divided} end`
}

function growth(graph: Graph, node: Extract<Expression, { type: 'growth' }>, of: string): string {
  const { cells } = partition(graph)
  const before = column(
    graph,
    `first_value(${of}) over (${cells}order by n range between ${node.days} preceding and ${node.days} preceding)`,
    [of],
  )
  if (node.as === 'difference') return column(graph, `${of} - ${before}`, [of, before])
  const dividend = node.as === 'ratio' ? of : `100 * (${of} - ${before})`
  return column(graph, divide(of, before, node.onZero, quotient(dividend, before)), [of, before])
}

function rolling(graph: Graph, node: Extract<Expression, { type: 'rolling' }>, of: string): string {
  const over = `over (${frame(graph, node)})`
  const count = `count(${of}) ${over}`
  const sql =
    node.op === 'count'
      ? `(${count})::numeric`
      : node.op === 'avg'
        ? quotient(`sum(${of}) ${over}`, `nullif(${count}, 0)`)
        : `${node.op}(${of}) ${over}`
  return column(graph, `case when ${count} >= ${node.minDays} then ${sql} end`, [of])
}

function partition(graph: Graph): { cells: string } {
  const columns = cellColumns(graph.grain)
  return { cells: columns.length === 0 ? '' : `partition by ${columns.join(', ')} ` }
}

type Window = Extract<Expression, { type: 'rolling' | 'cumulative' }>

/** Returns the window frame: days of one cell. The spine has every calendar day, so constants count on each. */
function frame(graph: Graph, node: Window): string {
  if (node.type === 'rolling')
    return `${partition(graph).cells}order by n range between ${node.days - 1} preceding and current row`
  const by = [...cellColumns(graph.grain), `date_trunc('${node.reset}', day::timestamp)`]
  return `partition by ${by.join(', ')} order by n`
}

/** Returns a column that is true where an input has a row. It is false for an expression of constants only. */
function supportColumn(graph: Graph, node: Expression): string {
  switch (node.type) {
    case 'aggregate':
    case 'metric':
      return column(graph, presenceOf(graph, leafOf(graph, node)), [])
    case 'constant':
      return column(graph, 'false', [])
    case 'growth':
      return supportColumn(graph, node.of)
    case 'rolling':
    case 'cumulative': {
      const of = supportColumn(graph, node.of)
      const reached = column(graph, `coalesce(bool_or(${of}) over (${frame(graph, node)}), false)`, [of])
      const day = dayOf(graph, node.of)
      return column(graph, `${day} and ${reached}`, [day, reached])
    }
    case 'filter':
      throw new Error('a filter has no rows: flatten the expression first')
    default:
      return anyOf(
        graph,
        childrenOf(node, '').map((child) => supportColumn(graph, child.node)),
      )
  }
}

/** Returns a column that is true on days on which an input has a row in any cell. */
function dayOf(graph: Graph, node: Expression): string {
  const leaves = expressionsIn(node).flatMap(({ node: inner }) =>
    inner.type === 'aggregate' || inner.type === 'metric' ? [inner] : [],
  )
  const rows = anyOf(
    graph,
    leaves.map((leaf) => supportColumn(graph, leaf)),
  )
  return graph.grain === 'total' ? rows : column(graph, `bool_or(${rows}) over (partition by day)`, [rows])
}

function anyOf(graph: Graph, columns: readonly string[]): string {
  const distinct = [...new Set(columns)].sort()
  const [first] = distinct
  return distinct.length === 1 && first !== undefined ? first : column(graph, distinct.join(' or '), distinct)
}

function presenceOf(graph: Graph, leaf: Leaf): string {
  return leaf.presence
    ? `${tableAlias(graph, leaf.presence)}.day is not null`
    : `${tableAlias(graph, leaf.table)}.${leaf.column} is not null`
}

/**
 * Returns a query for columns of a graph over a spine: the days (`day`, and `n` as a number) and cells that get a
 * row. Each layer is a query over the previous one, with OFFSET 0 as a fence. Without it, the planner would inline a
 * part that is used twice in both places, which doubles the query at each level.
 */
export function layersQuery(graph: Graph, spine: string, wanted: readonly string[]): string {
  const keys = ['day', ...cellColumns(graph.grain)]
  const needed = neededColumns(graph, wanted)
  const byLayer = groupBy(needed, ({ layer }) => layer)
  const top = Math.max(0, ...byLayer.keys())
  const joins = [...graph.tables.values()].map((table) => {
    const alias = aliasOf(table)
    return ` left join ${table.name} ${alias} on ${keys.map((key) => `${alias}.${key} = spine.${key}`).join(' and ')}`
  })
  const first = (byLayer.get(0) ?? []).map(({ sql, name }) => `, ${sql} as ${name}`)
  let query = `select ${keys.map((key) => `spine.${key}`).join(', ')}, spine.day - date '2000-01-01' as n${first.join('')} from (${spine}) spine${joins.join('')} offset 0`
  for (let layer = 1; layer <= top; layer += 1) {
    const later = needed.filter((made) => made.layer > layer).flatMap(({ deps }) => deps)
    const still = new Set([...wanted, ...later])
    const carried = needed
      .filter((made) => made.layer < layer && still.has(made.name))
      .map(({ name }) => name)
    const made = (byLayer.get(layer) ?? []).map(({ sql, name }) => `${sql} as ${name}`)
    query = `select ${[...keys, 'n', ...carried, ...made].join(', ')} from (${query}) layer${layer} offset 0`
  }
  return query
}

function neededColumns(graph: Graph, wanted: readonly string[]): Column[] {
  const needed = new Map<string, Column>()
  const want = (name: string): void => {
    const made = graph.named.get(name)
    if (!made || needed.has(name)) return
    needed.set(name, made)
    for (const dep of made.deps) want(dep)
  }
  for (const name of wanted) want(name)
  return [...needed.values()]
}
