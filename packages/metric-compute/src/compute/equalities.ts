import type { Grain } from '@aduana/contracts/metrics/definition'
import type { RowCondition } from '@aduana/contracts/metrics/expression'
import { columnOf } from '../expressions/series-kind.ts'
import { groupBy } from '../group-by.ts'
import { amongSql, arrayOf, atomsOf, fieldOf, listOf, placeOf } from './conditions.ts'
import type { ScanContext } from './gathering.ts'
import { groupColumns } from './leaf.ts'
import { pivot, resultsOf } from './long.ts'
import type { AggregateRequest } from './plan.ts'
import type { Rows } from './rows.ts'
import { cellColumns } from './sql-text.ts'

/** Splits requests into groups whose conditions are equalities on the same columns, and the others. */
export function splitByEquality(requests: readonly AggregateRequest[]): {
  equalities: AggregateRequest[][]
  others: AggregateRequest[]
} {
  const bySeries = groupBy(requests, ({ where }) => equalSeries(where)?.join(' '))
  const others = bySeries.get(undefined) ?? []
  bySeries.delete(undefined)
  return { equalities: [...bySeries.values()], others }
}

/**
 * Returns the series of a condition that only consists of one equality per series; undefined for other conditions.
 */
function equalSeries(where: RowCondition | undefined): string[] | undefined {
  const parts = where === undefined ? [] : where.op === 'all' ? where.of : [where]
  const series = parts.flatMap((part) => (part.op === '=' ? part.series : []))
  return series.length === parts.length && new Set(series).size === series.length ? series.sort() : undefined
}

/**
 * Computes distinct counts or percentiles of one series whose conditions are equalities on the same columns. A row
 * matches at most one of them, so values are grouped by the columns themselves, in parallel by partition.
 */
export async function aggregateByEquality(
  gathering: ScanContext,
  op: 'distinct' | 'percentile',
  requests: readonly AggregateRequest[],
): Promise<void> {
  const { session } = gathering
  const [first] = requests
  if (!first) return
  const field = fieldOf(first.series)
  const compared = comparedBy(gathering, requests)
  for (const grain of ['total', 'company', 'warehouse'] as const) {
    const its = requests.filter((request) => request.grains.has(grain))
    if (its.length === 0) continue
    const by = groupColumns(grain)
    const results = resultsOf(its, compared.numberOf)
    const long = await session.materialize(
      `select ${[by, 'f', ...results.sql].join(', ')}
      from (${valuesQuery(gathering.rows, grain, { op, field }, compared)}) g join ${compared.numbers}`,
      [...by.split(', '), 'f'],
    )
    await pivot(session, long, grain, results.columns, gathering)
  }
}

/** Returns the query for the values of a field by day, cell and compared columns. */
function valuesQuery(
  rows: Rows,
  grain: Grain,
  { op, field }: { op: 'distinct' | 'percentile'; field: string },
  { keys }: Compared,
): string {
  const cells = cellColumns(grain)
  const columns = [
    ...(['day', ...cells] as const).map((name) => `${rows.cells[name]} as ${name}`),
    ...keys.map(({ name, field: key }) => `${key} as ${name}`),
  ]
  const conditions = [
    rows.condition,
    `${field} is not null`,
    ...cells.map((cell) => `${rows.cells[cell]} is not null`),
    ...keys.map(({ named }) => named),
  ]
  const gathered =
    op === 'distinct'
      ? `count(distinct ${field}) as d`
      : `array_agg(${field} order by ${field}) as a, count(*) as n`
  return `select ${[...columns, gathered].join(', ')} from ${rows.table}
    where ${conditions.join(' and ')} group by ${columns.map((_, index) => index + 1).join(', ')}`
}

/** The columns that a list of such conditions compares. */
interface Compared {
  /** Columns, each with SQL that tests for the compared values. */
  keys: readonly { name: string; field: string; named: string }[]
  /** SQL of a table that maps the keys' values to the condition's number `f`, with its join condition. */
  numbers: string
  numberOf(request: AggregateRequest): number
}

function comparedBy({ places, members }: ScanContext, requests: readonly AggregateRequest[]): Compared {
  const wheres = new Map(requests.map(({ where }) => [JSON.stringify(where), atomsOf(where)]))
  const numbers = [...wheres.keys()]
  const atoms = groupBy([...wheres.values()].flat(), ({ series }) => series)
  const keys = [...atoms].map(([series, its], index) => {
    const place = placeOf(series, places)
    const column = columnOf(place)
    if (!column) throw new Error(`the series "${series}" is the row and cannot be compared`)
    const field = fieldOf(place)
    // A code without a member is null, which equals nothing.
    const values = [...wheres.values()].map((of) => {
      const atom = of.find((one) => one.series === series)
      return (atom && listOf([atom], column, members)[0]) ?? 'null'
    })
    const named = amongSql(field, its, column, members)
    return { name: `k${index}`, field, named, values: arrayOf(values, column) }
  })
  const names = keys.map(({ name }) => name)
  const lists = [...keys.map(({ values }) => values), `array[${numbers.map((_, f) => f).join(', ')}]`]
  return {
    keys,
    numbers: `unnest(${lists.join(', ')}) v (${[...names, 'f'].join(', ')}) ${keys.length === 0 ? 'on true' : `using (${names.join(', ')})`}`,
    numberOf: ({ where }) => numbers.indexOf(JSON.stringify(where)),
  }
}
