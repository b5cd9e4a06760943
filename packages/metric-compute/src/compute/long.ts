import type { Grain } from '@aduana/contracts/metrics/definition'
import type { Conditions } from './conditions.ts'
import { chunksOf, groupColumns, type LeafTable, type Leaves, leafKey } from './leaf.ts'
import type { AggregateRequest } from './plan.ts'
import type { Session } from './session.ts'
import { DECIMALS, numeric } from './sql-text.ts'

/** Columns of one leaf table: each row of the long table is looked at for each of them. */
const MAX_COLUMNS = 150

/** Conditions numbered, to stand in a column `f`. */
export interface Filters {
  /** The number of a request's condition. */
  numberOf(request: AggregateRequest): number
  /** SQL of a lateral table `v (f)` over the key columns: the conditions that hold. */
  holding: string
  count: number
}

/** Number the distinct conditions of some requests. */
export function numberFilters(requests: readonly AggregateRequest[], conditions: Conditions): Filters {
  const texts = [...new Set(requests.map(({ where }) => conditions.sql(where)))]
  const numbers = new Map(texts.map((text, index) => [text, index]))
  return {
    numberOf: ({ where }) => numbers.get(conditions.sql(where)) ?? -1,
    // As a list of rows, VALUES, every condition would be prepared anew for every row.
    holding: `unnest(array_remove(array[${texts.map((text, index) => `case when ${text} then ${index} end`).join(', ')}], null)) v (f)`,
    count: texts.length,
  }
}

/** SQL of a text that tells combinations of keys apart, nulls too. */
export function combination(keys: Conditions['keys']): string {
  return keys.length === 0
    ? `''`
    : `concat_ws(',', ${keys.map(({ name }) => `coalesce(quote_literal(${name}::text), '')`).join(', ')})`
}

/** A table `combination, f`: which conditions hold for each combination of keys in a gathered table. */
export function holdingTable(
  session: Session,
  table: string,
  keys: Conditions['keys'],
  filters: Filters,
): Promise<string> {
  const names = ['combination', ...keys.map(({ name }) => name)].join(', ')
  return session.materialize(
    `select combination, f from (select ${names} from ${table} group by ${names}) k cross join lateral ${filters.holding}`,
  )
}

/** One aggregate in a long table `day, cell, f, …`: in which column, and in the rows of which condition. */
export interface LongColumn {
  request: AggregateRequest
  column: string
  f: number
}

/** Turn a long table into leaf tables: one row for each day and cell, one column for each aggregate. */
export async function pivot(
  session: Session,
  table: string,
  grain: Grain,
  columns: readonly LongColumn[],
  into: { presence: ReadonlyMap<string, LeafTable>; leaves: Leaves },
): Promise<void> {
  const by = groupColumns(grain)
  for (const piece of chunksOf(
    columns.toSorted((a, b) => a.f - b.f),
    MAX_COLUMNS,
  )) {
    const selected = piece.map(({ request, column, f }, index) => {
      const value = `max(${column}) filter (where f = ${f})`
      const single = request.op === 'first' || request.op === 'last' ? `(${value})[3]` : `(${value})::numeric`
      return `${single} as c${index}`
    })
    const [from, to] = [piece[0]?.f ?? 0, piece.at(-1)?.f ?? 0]
    const name = await session.materialize(
      `select ${[by, ...selected].join(', ')} from ${table} where f between ${from} and ${to} group by ${by}`,
      by.split(', '),
    )
    for (const [index, { request }] of piece.entries())
      into.leaves.set(leafKey(grain, request.key), {
        table: { name, grain },
        column: `c${index}`,
        presence: into.presence.get(grain),
        zero: request.op === 'count' || request.op === 'distinct',
      })
  }
}

/**
 * What is wanted of gathered values: the SQL of result columns, over the count `d` of distinct values or over the sorted
 * values `a` and their number `n`; and in which of them each request's result is.
 */
export function resultsOf(
  requests: readonly AggregateRequest[],
  numberOf: Filters['numberOf'],
): { sql: string[]; columns: LongColumn[] } {
  const shares = [...new Set(requests.flatMap(({ percentile }) => percentile ?? []))]
  return {
    sql: shares.length === 0 ? ['d'] : shares.map((share, index) => `${percentileOf(share)} as p${index}`),
    columns: requests.map((request) => ({
      request,
      column: request.percentile === undefined ? 'd' : `p${shares.indexOf(request.percentile)}`,
      f: numberOf(request),
    })),
  }
}

/** The value at position p · (n − 1) of the sorted values, between its neighbours where that is no whole number. */
function percentileOf(p: number): string {
  const position = `${numeric(p)} * (n - 1)`
  // The difference of two numbers of a type need not fit into it.
  const at = (rounded: 'floor' | 'ceil') => `a[1 + ${rounded}(${position})::integer]::numeric`
  const [low, high] = [at('floor'), at('ceil')]
  return `round(${low} + (${position} - floor(${position})) * (${high} - ${low}), ${DECIMALS})`
}
